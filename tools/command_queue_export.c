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
	json_t		*held_here;	/* owned: {ID:true} that only we hold */
	unsigned	 damaged;
	bool		 failed;
};

/* --- what comes --- */

/* Bytes of a row, owned; null: malformed. */
static uint8_t *row_of(const json_t *value, size_t *length)
{
	size_t room = json_string_length(value) / 4 * 3 + 1;
	uint8_t *data = mem_alloc(room);
	int got = json_is_string(value) ? base64_parse(data, room,
	    json_string_value(value)) : -1;

	if (got < 0) {
		mem_free(data);
		return NULL;
	}
	*length = (size_t)got;
	return data;
}

static json_t *base64(const void *data, size_t length)
{
	char *text = mem_alloc(BASE64_LENGTH(length) + 1);
	json_t *value;

	base64_format(data, length, text, BASE64_LENGTH(length) + 1);
	value = json_string(text);
	mem_free(text);
	return value;
}

static void begin(struct run *run, const json_t *about)
{
	struct record_message *record = NULL;
	char hex[2 * DIGEST_BYTES + 1];
	size_t length;
	uint8_t *row = row_of(json_object_get(about, "row"), &length);

	json_decref(run->message);
	run->message = NULL;
	arena_reset(run->arena);
	if (row != NULL)
		record = record_get_message(row, length, run->arena);
	mem_free(row);
	run->skipped = run->moves && is_true(about, "in-flight");
	rewind(run->body);
	if (record == NULL || ftruncate(fileno(run->body), 0) != 0) {
		run->failed = true;
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
	uint8_t *row = row_of(value, &length);

	arena_reset(run->arena);
	if (row != NULL && run->message != NULL)
		slice = record_get_slice(row, length, run->arena);
	mem_free(row);
	if (slice == NULL) {
		run->failed = true;
		return;
	}
	forget_hold(run, slice);
	name_recipients(run, slice);
	buf_init(&out, RECORD_SLICE_MAX);
	if (record_put_slice(&out, slice) != 0)
		run->failed = true;
	json_array_append_new(json_object_get(run->message, "slices"),
	    base64(buf_data(&out), buf_length(&out)));
	buf_release(&out);
}

static void take_body(struct run *run, const json_t *value)
{
	size_t length;
	uint8_t *data = row_of(value, &length);

	if (data == NULL || fwrite(data, 1, length, run->body) != length)
		run->failed = true;
	mem_free(data);
}

static void end(struct run *run, const json_t *line)
{
	const char *id = text_of(line, "done");

	if (run->message == NULL || run->failed)
		return;
	if (run->skipped) {
		json_array_append_new(run->left, json_string(id));
	} else if (fflush(run->body) != 0 ||
	    queue_archive_add(run->writer, run->message, run->body) != 0) {
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
		fprintf(stderr, "postern: %s is damaged and was not "
		    "exported\n", text_of(line, "damaged"));
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

struct listing {
	json_t	*ids, *held_here;
};

static void on_listed(void *arg, const json_t *entry)
{
	struct listing *listing = arg;
	const json_t *recipients = json_object_get(entry, "recipients");
	const json_t *recipient;
	bool was_held = false;
	size_t i;

	if (json_object_get(entry, "id") == NULL)
		return;
	json_array_append(listing->ids, json_object_get(entry, "id"));
	json_array_foreach((json_t *)(uintptr_t)recipients, i, recipient)
		was_held = was_held || strcmp(text_of(recipient, "state"),
		    "held") == 0;
	if (!was_held)
		json_object_set_new(listing->held_here, text_of(entry, "id"),
		    json_true());
}

static int export_held(struct run *run, struct queue_request *request)
{
	struct listing listing = { json_array(), run->held_here };
	int code = control_client_ask(request->conf, ROLE_QUEUE, "list",
	    json_incref(request->arguments), on_listed, &listing);

	if (code == CONTROL_OK)
		code = ask_about(run, "hold", listing.ids, run->note, NULL);
	if (code == CONTROL_OK)
		code = ask_about(run, "export", listing.ids, NULL, on_line);
	json_decref(listing.ids);
	return code;
}

/* Those of them that nobody else holds go on. */
static void release(struct run *run, const json_t *ids)
{
	json_t *mine = json_array();
	const json_t *id;
	size_t i;

	json_array_foreach((json_t *)(uintptr_t)ids, i, id)
		if (json_object_get(run->held_here,
		    json_string_value(id)) != NULL)
			json_array_append(mine, (json_t *)(uintptr_t)id);
	(void)ask_about(run, "release", mine, NULL, NULL);
	json_decref(mine);
}

static void release_all(struct run *run)
{
	json_t *mine = json_array(), *value;
	const char *id;

	json_object_foreach(run->held_here, id, value)
		json_array_append_new(mine, json_string(id));
	(void)ask_about(run, "release", mine, NULL, NULL);
	json_decref(mine);
}

static int conclude(struct run *run, int code)
{
	bool remove = json_object_get(run->request->own, "remove") != NULL;

	if (code != CONTROL_OK) {
		release_all(run);
		return code;
	}
	if (json_array_size(run->left) > 0) {
		release(run, run->left);
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
	run->held_here = json_object();
	run->body = tmpfile();
}

static void run_end(struct run *run)
{
	json_decref(run->message);
	json_decref(run->exported);
	json_decref(run->left);
	json_decref(run->held_here);
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
	run_begin(&run, request);
	code = make_archive(&run, request);
	if (run.moves)
		code = conclude(&run, code);
	if (code == CONTROL_OK || code == CONTROL_TEMPORARY)
		fprintf(stderr, "exported %zu messages\n",
		    json_array_size(run.exported));
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
