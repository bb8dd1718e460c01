/* SPDX-License-Identifier: ISC */
/*
 * Events on a socket of datagrams: one send per event, which the kernel keeps
 * whole, so any number of processes may write to it. A reader that is slow is
 * waited for a few seconds; after that the event is lost, which is said on
 * descriptor 2: an actor must go on serving whatever becomes of its reader.
 */
#include "tools/lab/event.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	EVENT_MAX = 32 << 10,		/* a datagram that any reader takes */
	TEXT_MAX = 1 << 10,		/* of one string, once it is cut down */
	ITEMS_MAX = 16,			/* of one array, likewise */
	WAIT_MS = 5000
};

static int event_fd = -1;

void lab_event_open(int fd)
{
	event_fd = fd;
}

json_t *lab_event_bytes(const char *data, size_t length)
{
	json_t *string = memchr(data, '\0', length) == NULL ?
	    json_stringn(data, length) : NULL;
	char *text;
	size_t i, used = 0;

	if (string != NULL)
		return string;
	text = mem_alloc_array(length + 1, 3);
	for (i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)data[i];

		if (byte == 0) {
			memcpy(text + used, "\xe2\x90\x80", 3);
			used += 3;
			continue;
		}
		if (byte >= 0x80) {
			text[used++] = (char)(0xc0 | byte >> 6);
			byte = 0x80 | (byte & 0x3f);
		}
		text[used++] = (char)byte;
	}
	string = json_stringn(text, used);
	mem_free(text);
	if (string == NULL)
		bug("lab-event-text");
	return string;
}

static json_t *shorten_text(const json_t *string)
{
	const char *text = json_string_value(string);
	size_t length = json_string_length(string);

	if (length > TEXT_MAX) {
		length = TEXT_MAX;
		/* Never in the middle of a character. */
		while (length > 0 && ((unsigned char)text[length] & 0xc0) ==
		    0x80)
			length--;
	}
	return json_stringn(text, length);
}

/* A new reference to the value, or to what is left of one that is long. */
static json_t *shorten(json_t *value)
{
	json_t *array;
	size_t i;

	if (json_is_string(value))
		return shorten_text(value);
	if (!json_is_array(value))
		return json_incref(value);
	array = json_array();
	for (i = 0; i < json_array_size(value) && i < ITEMS_MAX; i++)
		json_array_append_new(array, shorten(json_array_get(value, i)));
	return array;
}

/*
 * The same event with long members cut short; or, when it has so many of them
 * that this does not help, without them.
 */
static json_t *cut_down(json_t *object, bool bare)
{
	json_t *smaller = json_object(), *value;
	const char *key;

	json_object_foreach(object, key, value)
		if (!bare || strcmp(key, "actor") == 0 ||
		    strcmp(key, "event") == 0 || strcmp(key, "time") == 0)
			json_object_set_new(smaller, key, shorten(value));
	json_object_set_new(smaller, "cut", json_true());
	json_decref(object);
	return smaller;
}

static void write_event(const char *text, size_t length)
{
	int64_t deadline = clock_monotonic() + WAIT_MS;
	struct pollfd writable = { .fd = event_fd, .events = POLLOUT };

	while (send(event_fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL) ==
	    -1) {
		int64_t left = deadline - clock_monotonic();
		int reason = errno;

		if (reason == EINTR)
			continue;
		if ((reason != EAGAIN && reason != ENOBUFS) || left <= 0) {
			dprintf(STDERR_FILENO, "lab: an event is lost (%s): "
			    "%.*s\n", strerror(reason),
			    (int)(length < 200 ? length : 200), text);
			return;
		}
		/* No buffers is not a state that poll() waits for. */
		if (poll(&writable, reason == EAGAIN, reason == EAGAIN ?
		    (int)left : 10) == -1 && errno != EINTR)
			return;
	}
}

void lab_event(const char *actor, const char *event, json_t *members)
{
	json_t *object = members != NULL ? members : json_object();
	char *text;
	int tries;

	if (event_fd == -1) {
		json_decref(object);
		return;
	}
	json_object_set_new(object, "actor", lab_event_bytes(actor,
	    strlen(actor)));
	json_object_set_new(object, "event", json_string(event));
	json_object_set_new(object, "time", json_integer(clock_wall()));
	text = json_dumps(object, JSON_COMPACT);
	for (tries = 0; text != NULL && strlen(text) > EVENT_MAX; tries++) {
		free(text);
		object = cut_down(object, tries > 0);
		text = json_dumps(object, JSON_COMPACT);
	}
	json_decref(object);
	if (text == NULL)
		bug("lab-event");
	write_event(text, strlen(text));
	free(text);
}
