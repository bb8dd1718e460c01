/* SPDX-License-Identifier: ISC */
/*
 * Text for people. What came from outside goes through text_print(), which
 * escapes it.
 */
#include "tools/queue_print.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/mem.h"
#include "tools/command_text.h"

/* "mx.example.org[192.0.2.7] verify=dane: 250 2.0.0 OK", as much as there is
 * of it. */
void queue_print_reply(const json_t *object)
{
	const char *verdict = text_of(object, "verdict");
	const char *status = text_of(object, "status");
	const char *text = text_of(object, "text");

	if (text_of(object, "host")[0] != '\0') {
		printf(" at ");
		text_print(text_of(object, "host"), 0);
	}
	if (verdict[0] != '\0') {
		printf(" verify=");
		text_print(verdict, 0);
	}
	if (status[0] == '\0' && text[0] == '\0')
		return;
	printf(":");
	if (number_of(object, "code") != 0)
		printf(" %lld", number_of(object, "code"));
	if (status[0] != '\0')
		printf(" %s", status);
	printf(" ");
	text_print(text, 0);
}

static void print_attempt(const json_t *attempt)
{
	const json_t *recipients = json_object_get(attempt, "recipients");
	long long more = number_of(attempt, "count") -
	    (long long)json_array_size(recipients);
	size_t i;

	printf("    %s  ", text_of(attempt, "time"));
	if (number_of(attempt, "attempt") != 0)
		printf("attempt %lld  ", number_of(attempt, "attempt"));
	printf("%s", text_of(attempt, "outcome"));
	queue_print_reply(attempt);
	printf("\n");
	if (text_of(attempt, "tls")[0] != '\0') {
		printf("        tls=");
		text_print(text_of(attempt, "tls"), 0);
		printf("\n");
	}
	for (i = 0; i < json_array_size(recipients); i++) {
		printf("        ");
		text_print(json_string_value(json_array_get(recipients, i)),
		    0);
		printf("\n");
	}
	if (more > 0)
		printf("        and %lld more recipient(s)\n", more);
}

void queue_print_attempts(const json_t *attempts)
{
	const json_t *attempt;
	size_t i;

	json_array_foreach(attempts, i, attempt)
		print_attempt(attempt);
}

/* The level that an operator gave the message, or took back. */
static void print_level(const json_t *recipient)
{
	const char *level = text_of(recipient, "tls-level");

	if (level[0] == '\0' && text_of(recipient, "tls-set")[0] == '\0')
		return;
	printf("        level %s, set", level[0] == '\0' ? "default" : level);
	if (text_of(recipient, "tls-set")[0] != '\0') {
		printf(" at %s by ", text_of(recipient, "tls-set"));
		text_print(text_of(recipient, "tls-author"), 0);
		printf(": ");
		text_print(text_of(recipient, "tls-reason"), 0);
	}
	printf("\n");
}

/* What clear-after counts from. */
static void print_trouble(const json_t *recipient)
{
	if (text_of(recipient, "tls-trouble")[0] != '\0')
		printf("        TLS fails since %s\n", text_of(recipient,
		    "tls-trouble"));
}

/* What was written to, and who is said to send it, where that is another
 * address. */
static void print_addresses(const json_t *recipient)
{
	const char *original = text_of(recipient, "original");

	if (original[0] != '\0' && strcasecmp(original,
	    text_of(recipient, "address")) != 0) {
		printf("        for <");
		text_print(original, 0);
		printf(">\n");
	}
	if (json_is_true(json_object_get(recipient, "forwarded"))) {
		printf("        forwarded, from <");
		text_print(text_of(recipient, "sender"), 0);
		printf(">\n");
	}
}

/* Why a recipient waits, in one line. */
static void print_recipient(const json_t *recipient)
{
	const char *next = text_of(recipient, "next");
	const char *text = text_of(recipient, "text");

	printf("    ");
	text_print(text_of(recipient, "address"), 0);
	printf("  %s", text_of(recipient, "state"));
	if (number_of(recipient, "attempts") > 0)
		printf(" after %lld attempt(s)", number_of(recipient,
		    "attempts"));
	if (next[0] != '\0')
		printf(", next %s", next);
	if (strcmp(text_of(recipient, "held-by"), "filter") == 0)
		printf(" by a filter");
	if (text_of(recipient, "held")[0] != '\0') {
		printf(": ");
		text_print(text_of(recipient, "held"), 0);
	}
	printf("\n");
	print_addresses(recipient);
	print_level(recipient);
	if (text_of(recipient, "status")[0] == '\0')
		return;
	printf("        %s %s", text_of(recipient, "status"),
	    text_of(recipient, "reason"));
	if (text_of(recipient, "host")[0] != '\0') {
		printf(" at ");
		text_print(text_of(recipient, "host"), 0);
	}
	if (text_of(recipient, "tls")[0] != '\0') {
		printf(" tls=");
		text_print(text_of(recipient, "tls"), 0);
	}
	printf("\n");
	if (text[0] != '\0') {
		printf("        ");
		text_print(text, 0);
		printf("\n");
	}
	print_trouble(recipient);
}

void queue_print_texts(const json_t *object, const char *const *names,
    size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (text_of(object, names[i])[0] == '\0')
			continue;
		printf("    %s: ", names[i]);
		text_print(text_of(object, names[i]), 0);
		printf("\n");
	}
}

static void print_origin(const json_t *object)
{
	static const char *const names[] = { "client", "user", "helo",
	    "protocol", "tls", "envid" };

	queue_print_texts(object, names, sizeof(names) / sizeof(names[0]));
	if (json_is_true(json_object_get(object, "edited")))
		printf("    changed by filters\n");
}

/* What the sender asks for (RFC 8689). */
static void print_tag(const json_t *object)
{
	const char *tag = text_of(object, "tls-tag");

	if (strcmp(tag, "requiretls") == 0)
		printf("    REQUIRETLS: only where TLS leads on\n");
	else if (strcmp(tag, "optional") == 0)
		printf("    TLS-Required: No: what the recipient's domain "
		    "publishes does not bind\n");
}

void queue_print_message(const json_t *object, size_t most)
{
	const json_t *recipients = json_object_get(object, "recipients");
	size_t i, count = json_array_size(recipients);
	long long more;

	if (most > 0 && count > most)
		count = most;
	more = number_of(object, "selected") - (long long)count;

	printf("%s  %s  %lld bytes  %s  from <", text_of(object, "id"),
	    text_of(object, "arrival"), number_of(object, "size"),
	    text_of(object, "state"));
	text_print(text_of(object, "sender"), 0);
	printf(">\n");
	print_tag(object);
	print_origin(object);
	for (i = 0; i < count; i++)
		print_recipient(json_array_get(recipients, i));
	if (more > 0)
		printf("    (+%lld more)\n", more);
	queue_print_attempts(json_object_get(object, "attempts"));
}

/* A message of a dry run. */
static void print_would(const json_t *object)
{
	printf("would %s %s  %s  %lld bytes  from <", text_of(object,
	    "would"), text_of(object, "id"), text_of(object, "arrival"),
	    number_of(object, "size"));
	text_print(text_of(object, "sender"), 0);
	printf(">  %lld recipient(s)\n", number_of(object, "recipients"));
}

void queue_print_change(void *arg, const json_t *object)
{
	const json_t *to = json_object_get(object, "to"), *address;
	size_t i;

	(void)arg;
	if (json_object_get(object, "would") != NULL) {
		print_would(object);
		return;
	}
	printf("%s%s%s%s", is_true(object, "dry-run") ? "would " : "",
	    text_of(object, "verb"), text_of(object, "level")[0] == '\0' ?
	    "" : " ", text_of(object, "level"));
	json_array_foreach(to, i, address) {
		printf(i == 0 ? " to " : ", ");
		text_print(json_string_value(address), 0);
	}
	printf(": %lld message(s), %lld recipient(s)%s\n",
	    number_of(object, "messages"), number_of(object, "recipients"),
	    is_true(object, "dry-run") ? "; nothing was changed" : "");
	if (text_of(object, "notice")[0] != '\0')
		text_line(0, text_of(object, "notice"));
}

/* U+0080 to U+009F, too, some of which terminals obey; a piece may end in the
 * middle of one. */
static void tame(uint8_t *bytes, int length)
{
	static uint8_t before;

	for (int i = 0; i < length; i++) {
		uint8_t byte = bytes[i];

		if ((byte < 32 && byte != '\n' && byte != '\t') ||
		    byte == 127 || (before == 0xc2 && byte >= 0x80 &&
		    byte < 0xa0))
			bytes[i] = byte == '\r' ? ' ' : '?';
		before = byte;
	}
}

void queue_print_bytes(const char *hex)
{
	size_t size = strlen(hex) / 2 + 1;
	uint8_t *bytes = mem_alloc(size);
	int length = hex_parse(bytes, size, hex);

	if (isatty(STDOUT_FILENO))
		tame(bytes, length);
	if (length > 0)
		fwrite(bytes, 1, (size_t)length, stdout);
	mem_free(bytes);
}
