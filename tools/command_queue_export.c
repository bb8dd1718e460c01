/* SPDX-License-Identifier: ISC */
/*
 * postern queue export: selected messages as an archive (queue_archive.h) on
 * standard output. With --hold they are held first, so that they do not leave
 * from here as well; with --remove they are deleted when the archive is
 * complete and on the disk. What is being tried just then stays, and is named.
 */
#include "tools/command_queue.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "queue/record.h"
#include "tools/command_text.h"
#include "tools/control_client.h"
#include "tools/queue_archive.h"

enum { IDS_A_REQUEST = 1000, NAME_BYTES = 16 };

struct run {
	struct queue_request *request;
	struct queue_archive_writer *writer;	/* owned */
	char		 name[2 * NAME_BYTES + 1];	/* of the archive */
	char		 note[80];
	bool		 moves;		/* --hold or --remove */

	json_t		*message;	/* owned; the one at hand */
	FILE		*body;		/* owned; of it */
	struct arena	*arena;		/* owned */
	bool		 skipped;	/* it is being tried */

	json_t		*exported;	/* owned; identifiers */
	json_t		*left;		/* those that were not */
	json_t		*held;		/* owned: those that we hold */
	unsigned	 damaged;
	bool		 failed;
};

static const char malformed[] = "the queue's answer cannot be read: the "
    "command and the running server differ in version";
static const char no_room[] = "a message cannot be kept in a temporary file: "
    "is /tmp full?";

/* --- what comes --- */

static void fail(struct run *run, const char *why)
{
	if (!run->failed)
		fprintf(stderr, "postern: %s\n", why);
	run->failed = true;
}

static void begin(struct run *run, const json_t *about)
{
	struct record_message *record = NULL;
	char hex[2 * DIGEST_BYTES + 1];
	size_t length;
	uint8_t *row = control_bytes(json_object_get(about, "row"),
	    SIZE_MAX, &length);

	json_decref(run->message);
	run->message = NULL;
	arena_reset(run->arena);
	if (row != NULL)
		record = record_get_message(row, length, run->arena);
	mem_free(row);
	run->skipped = run->moves && is_true(about, "in-flight");
	rewind(run->body);
	if (record == NULL) {
		fail(run, malformed);
		return;
	}
	if (ftruncate(fileno(run->body), 0) != 0) {
		fail(run, "cannot empty a temporary file");
		return;
	}
	hex_format(record->digest, DIGEST_BYTES, hex, sizeof(hex));
	run->message = json_pack("{s:s, s:I, s:o, s:[], s:I, s:s, s:O, s:[]}",
	    "id", text_of(about, "id"), "arrival",
	    (json_int_t)record->arrival, "sender",
	    control_text(record->envelope->sender), "recipients", "length",
	    (json_int_t)record->body_length, "sha256", hex, "envelope",
	    json_object_get(about, "row"), "slices");
}

/* What only we hold is not held there. */
static void forget_hold(struct run *run, struct record_slice *slice)
{
	if (!run->moves || !(slice->flags & SLICE_HELD) ||
	    strcmp(slice->held_reason, run->note) != 0)
		return;
	slice->flags &= ~(uint32_t)SLICE_HELD;
	slice->held_reason = arena_dup_string(run->arena, "");
}

static void name_recipients(struct run *run, const struct record_slice *slice)
{
	json_t *list = json_object_get(run->message, "recipients");

	for (uint32_t i = 0; i < slice->recipient_count; i++)
		json_array_append_new(list, json_pack("{s:o, s:I, s:o}",
		    "address", control_text(slice->recipients[i].who.address),
		    "attempts", (json_int_t)slice->attempt, "held",
		    control_text(slice->held_reason)));
}

static void take_slice(struct run *run, const json_t *value)
{
	struct record_slice *slice = NULL;
	struct buf out;
	size_t length;
	uint8_t *row = control_bytes(value, SIZE_MAX, &length);

	arena_reset(run->arena);
	if (row != NULL && run->message != NULL)
		slice = record_get_slice(row, length, run->arena);
	mem_free(row);
	if (slice == NULL) {
		fail(run, malformed);
		return;
	}
	forget_hold(run, slice);
	name_recipients(run, slice);
	buf_init(&out, RECORD_SLICE_MAX);
	if (record_put_slice(&out, slice) != 0)
		fail(run, malformed);
	json_array_append_new(json_object_get(run->message, "slices"),
	    control_base64(buf_data(&out), buf_length(&out)));
	buf_release(&out);
}

static void take_body(struct run *run, const json_t *value)
{
	size_t length;
	uint8_t *data = control_bytes(value, SIZE_MAX, &length);

	if (data == NULL)
		fail(run, malformed);
	else if (fwrite(data, 1, length, run->body) != length)
		fail(run, no_room);
	mem_free(data);
}

static void end(struct run *run, const json_t *line)
{
	const char *id = text_of(line, "done");

	if (run->message == NULL || run->failed)
		return;
	if (run->skipped) {
		json_array_append_new(run->left, json_string(id));
	} else if (fflush(run->body) != 0) {
		fail(run, no_room);
	} else if (queue_archive_add(run->writer, run->message, run->body) != 0) {
		run->failed = true;
	} else {
		json_array_append_new(run->exported, json_string(id));
	}
	json_decref(run->message);
	run->message = NULL;
}

static void on_line(void *arg, const json_t *line)
{
	struct run *run = arg;
	const json_t *value;

	if (run->failed)
		return;
	if ((value = json_object_get(line, "body")) != NULL)
		take_body(run, value);
	else if (json_object_get(line, "slice") != NULL)
		take_slice(run, json_object_get(line, "row"));
	else if ((value = json_object_get(line, "message")) != NULL)
		begin(run, value);
	else if (json_object_get(line, "done") != NULL)
		end(run, line);
	else if (json_object_get(line, "damaged") != NULL) {
		char id[32];

		text_clean(text_of(line, "damaged"), id, sizeof(id));
		fprintf(stderr, "postern: %s is damaged and was not "
		    "exported\n", id);
		run->damaged++;
	}
}

/* --- holding, and what follows --- */

/* Asks verb about these identifiers, some at a time. */
static int ask_about(struct run *run, const char *verb, const json_t *ids,
    const char *note, void (*line)(void *arg, const json_t *object))
{
	size_t count = json_array_size(ids);
	int code = CONTROL_OK;

	for (size_t i = 0; i < count && (code == CONTROL_OK ||
	    code == CONTROL_NONE_MATCHED); i += IDS_A_REQUEST) {
		struct control_client_answer answer = { .line = line,
		    .arg = run };
		json_t *some = json_array();
		json_t *arguments = json_pack("{s:o}", "id", some);

		for (size_t j = i; j < count && j < i + IDS_A_REQUEST; j++)
			json_array_append(some, json_array_get(ids, j));
		if (note != NULL)
			json_object_set_new(arguments, "note",
			    json_string(note));
		code = control_client_ask_quietly(run->request->conf,
		    ROLE_QUEUE, verb, arguments, &answer);
		if (code != CONTROL_OK && code != CONTROL_NONE_MATCHED)
			fprintf(stderr, "postern: %s\n", answer.message);
	}
	return code == CONTROL_NONE_MATCHED ? CONTROL_OK : code;
}

static void on_listed(void *arg, const json_t *entry)
{
	struct run *run = arg;

	if (json_object_get(entry, "id") != NULL)
		json_array_append(run->held, json_object_get(entry, "id"));
}

static int export_held(struct run *run, struct queue_request *request)
{
	int code = control_client_ask(request->conf, ROLE_QUEUE, "list",
	    json_incref(request->arguments), on_listed, run);

	if (code == CONTROL_OK)
		code = ask_about(run, "hold", run->held, run->note, NULL);
	if (code == CONTROL_OK)
		code = ask_about(run, "export", run->held, NULL, on_line);
	return code;
}

/* What is in the archive stays held, unless there is no archive. What others
 * hold has another note. */
static void release(struct run *run, bool all)
{
	json_t *exported = json_object(), *others = json_array();
	const json_t *id;
	size_t i;

	json_array_foreach(run->exported, i, id)
		json_object_set_new(exported, json_string_value(id),
		    json_true());
	json_array_foreach(run->held, i, id)
		if (all || json_object_get(exported,
		    json_string_value(id)) == NULL)
			json_array_append(others, (json_t *)(uintptr_t)id);
	(void)ask_about(run, "release", others, run->note, NULL);
	json_decref(exported);
	json_decref(others);
}

static int conclude(struct run *run, int code)
{
	bool remove = json_object_get(run->request->own, "remove") != NULL;

	release(run, code != CONTROL_OK);
	if (code != CONTROL_OK)
		return code;
	if (json_array_size(run->left) > 0) {
		fprintf(stderr, "postern: %zu messages are being tried, were "
		    "not exported and stay: export again for them\n",
		    json_array_size(run->left));
		code = CONTROL_TEMPORARY;
	}
	if (remove && ask_about(run, "delete", run->exported, NULL, NULL) !=
	    CONTROL_OK) {
		fprintf(stderr, "postern: the archive is complete, but what "
		    "is in it is still in the queue, held: delete it\n");
		code = CONTROL_TEMPORARY;
	}
	return code;
}

/* --- the command --- */

static void run_begin(struct run *run, struct queue_request *request)
{
	uint8_t name[NAME_BYTES];

	memset(run, 0, sizeof(*run));
	run->request = request;
	random_bytes(name, sizeof(name));
	hex_format(name, sizeof(name), run->name, sizeof(run->name));
	snprintf(run->note, sizeof(run->note), "being exported to %s",
	    run->name);
	run->moves = json_object_get(request->own, "hold") != NULL ||
	    json_object_get(request->own, "remove") != NULL;
	run->arena = arena_new((size_t)128 << 20);
	run->exported = json_array();
	run->left = json_array();
	run->held = json_array();
	run->body = tmpfile();
	if (run->body == NULL)
		fprintf(stderr, "postern: cannot make a temporary file in "
		    P_tmpdir ": %s\n", strerror(errno));
}

static void run_end(struct run *run)
{
	json_decref(run->message);
	json_decref(run->exported);
	json_decref(run->left);
	json_decref(run->held);
	arena_free(run->arena);
	if (run->body != NULL)
		fclose(run->body);
	if (run->writer != NULL)
		queue_archive_abandon(run->writer);
}

/* CONTROL_OK once the archive is complete and flushed. */
static int make_archive(struct run *run, struct queue_request *request)
{
	struct queue_archive_writer *writer;
	int code;

	run->writer = queue_archive_create(STDOUT_FILENO, run->name,
	    request->conf->hostname);
	if (run->writer == NULL || run->body == NULL)
		return CONTROL_OUTPUT;
	code = run->moves ? export_held(run, request) :
	    control_client_ask(request->conf, ROLE_QUEUE, "export",
	    json_incref(request->arguments), on_line, run);
	if (code == CONTROL_OK && run->failed)
		code = CONTROL_OUTPUT;
	if (code != CONTROL_OK)
		return code;
	writer = run->writer;
	run->writer = NULL;
	return queue_archive_finish(writer) == 0 ? CONTROL_OK :
	    CONTROL_OUTPUT;
}

static int run_export(struct queue_request *request)
{
	struct run run;
	int code;

	if (isatty(STDOUT_FILENO))
		return queue_request_usage(request, "an archive is no text: "
		    "send it to a file, as in `postern queue export --all > "
		    "FILE`");
	signal(SIGPIPE, SIG_IGN);
	/* A sign of life while nothing is found. */
	json_object_set_new(request->arguments, "progress", json_true());
	run_begin(&run, request);
	code = make_archive(&run, request);
	if (run.moves)
		code = conclude(&run, code);
	if (code == CONTROL_OK || code == CONTROL_TEMPORARY)
		fprintf(stderr, "exported %zu message%s\n",
		    json_array_size(run.exported),
		    json_array_size(run.exported) == 1 ? "" : "s");
	if (code == CONTROL_OK && run.damaged > 0)
		code = CONTROL_DATA;
	run_end(&run);
	return code;
}

static const struct queue_option options[] = {
	{ .name = "hold", .kind = QUEUE_FLAG, .local = true,
	    .help = "hold them here: they are to leave from elsewhere" },
	{ .name = "remove", .kind = QUEUE_FLAG, .local = true,
	    .help = "delete them here once the archive is complete and on "
	    "the disk" },
	{ .name = NULL }
};

const struct queue_command queue_command_export = { .name = "export",
    .summary = "messages as one archive on standard output, for import",
    .takes = QUEUE_SELECTORS, .options = options, .run = run_export };
