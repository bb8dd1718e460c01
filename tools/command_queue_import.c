/* SPDX-License-Identifier: ISC */
/*
 * postern queue import FILE: the whole archive is read and checked before the
 * queue is asked anything; then it is read again and sent, some messages ahead
 * of the queue's answers.
 */
#include "tools/command_queue.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/control.h"
#include "base/digest.h"
#include "base/mem.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/queue_archive.h"

enum { AHEAD = 64, PIECE_BYTES = 48 << 10 };

struct sending {
	struct queue_request *request;
	int		 fd;		/* owned by answers */
	FILE		*answers;	/* owned */
	unsigned	 ahead;		/* messages without an answer */
	uint64_t	 taken, known;
	int		 code;		/* of the end; -1: it has not come */
};

/* --- answers --- */

static void take_answer(struct sending *sending, const char *text)
{
	json_t *line = text_read_answer(text, strlen(text));
	const json_t *pair;

	if ((pair = json_object_get(line, "taken")) != NULL)
		sending->taken++;
	else if ((pair = json_object_get(line, "known")) != NULL)
		sending->known++;
	if (pair != NULL) {
		sending->ahead--;
		if (sending->request->json)
			text_print_json(line);
	}
	if (json_object_get(line, "end") != NULL) {
		sending->code = (int)number_of(line, "end");
		if (text_of(line, "message")[0] != '\0')
			fprintf(stderr, "postern: the queue: %s\n",
			    text_of(line, "message"));
	}
	json_decref(line);
}

/* Until no more than so many wait; -1: it has ended. */
static int await(struct sending *sending, unsigned most)
{
	char *line = NULL;
	size_t size = 0;

	while (sending->code == -1 && sending->ahead > most &&
	    getline(&line, &size, sending->answers) > 0)
		take_answer(sending, line);
	free(line);
	return sending->code == -1 && sending->ahead <= most ? 0 : -1;
}

/* --- lines --- */

static int send_text(struct sending *sending, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(sending->fd, text, length, MSG_NOSIGNAL);

		if (sent <= 0)
			return -1;
		text += sent;
		length -= (size_t)sent;
	}
	return 0;
}

static int send_line(struct sending *sending, json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);
	int result = text == NULL ? -1 : send_text(sending, text,
	    strlen(text));

	if (result == 0)
		result = send_text(sending, "\n", 1);
	free(text);
	json_decref(line);
	return result;
}

static int send_message(void *arg, const json_t *message)
{
	struct sending *sending = arg;
	const json_t *slices = json_object_get(message, "slices"), *row;
	size_t i;

	if (await(sending, AHEAD - 1) != 0 || send_line(sending,
	    json_pack("{s:{s:O, s:O, s:O}}", "message", "id",
	    json_object_get(message, "id"), "length",
	    json_object_get(message, "length"), "row",
	    json_object_get(message, "envelope"))) != 0)
		return -1;
	json_array_foreach((json_t *)(uintptr_t)slices, i, row)
		if (send_line(sending, json_pack("{s:I, s:O}", "slice",
		    (json_int_t)i, "row", row)) != 0)
			return -1;
	return 0;
}

static int send_body(void *arg, const void *data, size_t length)
{
	struct sending *sending = arg;
	const char *at = data;

	while (length > 0) {
		size_t step = length < PIECE_BYTES ? length : PIECE_BYTES;

		if (send_line(sending, json_pack("{s:o}", "body",
		    control_base64(at, step))) != 0)
			return -1;
		at += step;
		length -= step;
	}
	return 0;
}

static int send_end(void *arg, const json_t *message)
{
	struct sending *sending = arg;

	sending->ahead++;
	return send_line(sending, json_pack("{s:O}", "commit",
	    json_object_get(message, "id")));
}

/* --- the command --- */

static int open_connection(struct sending *sending, const char *archive)
{
	struct queue_request *request = sending->request;
	json_t *arguments = json_pack("{s:s, s:b, s:b}", "archive", archive,
	    "again", json_object_get(request->own, "again") != NULL, "hold",
	    json_object_get(request->own, "hold") != NULL);
	char *line = NULL;
	size_t size = 0;

	sending->fd = control_client_open(request->conf, ROLE_QUEUE, "import",
	    arguments);
	if (sending->fd == -1)
		return errno == EACCES ? CONTROL_DENIED : CONTROL_UNAVAILABLE;
	sending->answers = fdopen(sending->fd, "r");
	sending->code = -1;
	if (getline(&line, &size, sending->answers) > 0 &&
	    strstr(line, "\"ready\"") == NULL)
		take_answer(sending, line);
	free(line);
	return sending->code == -1 ? CONTROL_OK : sending->code;
}

/* What the queue says at the end, or that it went away. */
static int settle(struct sending *sending, int result)
{
	char *line = NULL;
	size_t size = 0;

	if (result == 0)
		result = send_line(sending, json_pack("{s:b}", "finish", 1));
	while (sending->code == -1 &&
	    getline(&line, &size, sending->answers) > 0)
		take_answer(sending, line);
	free(line);
	if (sending->code == -1) {
		fprintf(stderr, "postern: the queue went away; import again: "
		    "what was taken in is not taken in twice\n");
		return CONTROL_UNAVAILABLE;
	}
	return sending->code;
}

static int send_archive(struct queue_request *request, int fd,
    struct queue_archive_about *about)
{
	struct sending sending = { .request = request };
	const struct queue_archive_visitor visitor = { .message = send_message,
	    .body = send_body, .end = send_end, .arg = &sending };
	int code, result;

	code = open_connection(&sending, about->name);
	if (code != CONTROL_OK)
		return code;
	result = lseek(fd, 0, SEEK_SET) == -1 ? -1 :
	    queue_archive_read(fd, &visitor, about);
	if (result != 0 && about->problem[0] != '\0')
		fprintf(stderr, "postern: the archive has changed: %s\n",
		    about->problem);
	if (result != 0)
		shutdown(sending.fd, SHUT_WR);
	code = settle(&sending, result);
	fclose(sending.answers);
	if (!request->json)
		printf("imported %llu message%s%s\n",
		    (unsigned long long)sending.taken, sending.taken == 1 ?
		    "" : "s", sending.known == 0 ? "" :
		    ", the others were imported before");
	return code;
}

static int import_file(struct queue_request *request, int fd)
{
	bool only_look = json_object_get(request->own, "dry-run") != NULL;
	struct queue_archive_about about;

	if (!only_look && lseek(fd, 0, SEEK_CUR) == -1) {
		fprintf(stderr, "postern: %s: an archive is read twice: put it "
		    "into a file\n", request->before);
		return CONTROL_USAGE;
	}
	if (queue_archive_read(fd, NULL, &about) != 0) {
		fprintf(stderr, "postern: %s: %s\n", request->before,
		    about.problem);
		return CONTROL_DATA;
	}
	if (!request->json)
		printf("%s: %llu message%s, %llu bytes, whole\n",
		    request->before, (unsigned long long)about.messages,
		    about.messages == 1 ? "" : "s",
		    (unsigned long long)about.bytes);
	if (only_look)
		return CONTROL_OK;
	return send_archive(request, fd, &about);
}

static int run_import(struct queue_request *request)
{
	int fd = open(request->before, O_RDONLY | O_CLOEXEC), code;

	if (fd == -1) {
		fprintf(stderr, "postern: %s: %s\n", request->before,
		    strerror(errno));
		return CONTROL_USAGE;
	}
	code = import_file(request, fd);
	close(fd);
	return code;
}

static const struct queue_option options[] = {
	{ .name = "again", .kind = QUEUE_FLAG, .local = true,
	    .help = "messages that were imported before from this archive, "
	    "too" },
	{ .name = "hold", .kind = QUEUE_FLAG, .local = true,
	    .help = "hold what comes in" },
	{ .name = "dry-run", .letter = 'n', .kind = QUEUE_FLAG, .local = true,
	    .help = "read and check the archive, and do no more" },
	{ .name = NULL }
};

const struct queue_command queue_command_import = { .name = "import",
    .summary = "take in an archive of export, under new identifiers",
    .before = "FILE", .options = options, .run = run_import };
