/* SPDX-License-Identifier: ISC */
/*
 * libarchive writes and reads the container; nothing is ever unpacked to a
 * file, so that names in it are words that have to match, and no more.
 */
#include "tools/queue_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/control.h"
#include "base/digest.h"
#include "base/mem.h"
#include "queue/record.h"

enum { PIECE_BYTES = 64 << 10, MEMBER_MODE = 0600, SCHEMA = 2,
    ROWS_ARENA = 128 << 20, ID_MAX = 16, SLICES_MOST = 50000 };

/* --- writing --- */

struct queue_archive_writer {
	struct archive	*archive;	/* owned */
	int		 fd;
	uint64_t	 messages, bytes;
	struct digest	*digest;	/* owned; of the descriptions */
};

static int complain(struct queue_archive_writer *writer)
{
	const char *text = archive_error_string(writer->archive);
	int error = archive_errno(writer->archive);

	fprintf(stderr, "postern: cannot write the archive: %s\n",
	    error > 0 ? strerror(error) : text == NULL ? strerror(errno) :
	    text);
	return -1;
}

static int put_header(struct queue_archive_writer *writer, const char *name,
    uint64_t length)
{
	struct archive_entry *entry = archive_entry_new();
	int result;

	archive_entry_set_pathname(entry, name);
	archive_entry_set_size(entry, (la_int64_t)length);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_entry_set_perm(entry, MEMBER_MODE);
	archive_entry_set_mtime(entry, clock_wall() / 1000, 0);
	result = archive_write_header(writer->archive, entry);
	archive_entry_free(entry);
	return result == ARCHIVE_OK ? 0 : complain(writer);
}

static int put_data(struct queue_archive_writer *writer, const void *data,
    size_t length)
{
	return archive_write_data(writer->archive, data, length) ==
	    (la_ssize_t)length ? 0 : complain(writer);
}

static int put_json(struct queue_archive_writer *writer, const char *name,
    const json_t *object, bool counts)
{
	char *text = json_dumps(object, JSON_INDENT(1) | JSON_SORT_KEYS);
	size_t length = text == NULL ? 0 : strlen(text);
	int result = -1;

	/* Nobody could read it. */
	if (length > QUEUE_ARCHIVE_JSON_MAX)
		fprintf(stderr, "postern: %s would be too large\n", name);
	else if (text != NULL)
		result = put_header(writer, name, length);
	if (result == 0)
		result = put_data(writer, text, length);
	if (result == 0 && counts)
		digest_add(writer->digest, text, length);
	free(text);
	return result;
}

struct queue_archive_writer *queue_archive_create(int fd, const char *name,
    const char *host)
{
	struct queue_archive_writer *writer = mem_alloc(sizeof(*writer));
	json_t *manifest;
	int result;

	writer->fd = fd;
	writer->archive = archive_write_new();
	writer->digest = digest_new();
	if (archive_write_set_format_pax_restricted(writer->archive) !=
	    ARCHIVE_OK || archive_write_add_filter_none(writer->archive) !=
	    ARCHIVE_OK || archive_write_open_fd(writer->archive, fd) !=
	    ARCHIVE_OK) {
		complain(writer);
		queue_archive_abandon(writer);
		return NULL;
	}
	manifest = json_pack("{s:i, s:s, s:s, s:I, s:i}", "format",
	    QUEUE_ARCHIVE_FORMAT, "archive", name, "host", host, "time",
	    (json_int_t)(clock_wall() / 1000), "schema", SCHEMA);
	result = put_json(writer, "manifest.json", manifest, false);
	json_decref(manifest);
	if (result == 0)
		return writer;
	queue_archive_abandon(writer);
	return NULL;
}

static int put_body(struct queue_archive_writer *writer, FILE *body,
    uint64_t length)
{
	char *piece = mem_alloc(PIECE_BYTES);
	int result = 0;

	rewind(body);
	while (result == 0 && length > 0) {
		size_t want = length < PIECE_BYTES ? (size_t)length :
		    PIECE_BYTES;

		if (fread(piece, 1, want, body) != want) {
			fprintf(stderr, "postern: cannot read a temporary "
			    "file: %s\n", strerror(errno));
			result = -1;
		} else {
			result = put_data(writer, piece, want);
		}
		length -= want;
	}
	mem_free(piece);
	return result;
}

int queue_archive_add(struct queue_archive_writer *writer,
    const json_t *message, FILE *body)
{
	const char *id = json_string_value(json_object_get(message, "id"));
	uint64_t length = (uint64_t)json_integer_value(json_object_get(message,
	    "length"));
	char name[ID_MAX + 8];

	snprintf(name, sizeof(name), "%.16s.json", id);
	if (put_json(writer, name, message, true) != 0)
		return -1;
	snprintf(name, sizeof(name), "%.16s.body", id);
	if (put_header(writer, name, length) != 0 ||
	    put_body(writer, body, length) != 0)
		return -1;
	writer->messages++;
	writer->bytes += length;
	return 0;
}

void queue_archive_abandon(struct queue_archive_writer *writer)
{
	digest_free(writer->digest);
	archive_write_free(writer->archive);
	mem_free(writer);
}

/* The directory that the file is in: a name that is not on the disk leads to no
 * archive. */
static int sync_directory(int fd)
{
	char link[40], path[PATH_MAX], *slash;
	ssize_t length;
	int directory, result;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	if (length <= 0 || path[0] != '/')
		return -1;
	path[length] = '\0';
	slash = strrchr(path, '/');
	slash[slash == path] = '\0';
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory == -1)
		return -1;
	result = fsync(directory);
	close(directory);
	return result;
}

/* On the disk, name and all, if it is a file. */
static int flush(int fd)
{
	struct stat about;

	if (fstat(fd, &about) != 0)
		return -1;
	if (!S_ISREG(about.st_mode))
		return 0;
	if (fsync(fd) != 0)
		return -1;
	/* A directory that we may not read, or no /proc: all of it, then. */
	return about.st_nlink == 0 || sync_directory(fd) == 0 ? 0 :
	    syncfs(fd);
}

int queue_archive_finish(struct queue_archive_writer *writer)
{
	uint8_t digest[DIGEST_BYTES];
	char hex[2 * DIGEST_BYTES + 1];
	json_t *totals;
	int result;

	digest_end(writer->digest, digest);
	writer->digest = NULL;
	hex_format(digest, sizeof(digest), hex, sizeof(hex));
	totals = json_pack("{s:I, s:I, s:s}", "messages",
	    (json_int_t)writer->messages, "bytes", (json_int_t)writer->bytes,
	    "sha256", hex);
	result = put_json(writer, "totals.json", totals, false);
	json_decref(totals);
	if (result == 0 && archive_write_close(writer->archive) != ARCHIVE_OK)
		result = complain(writer);
	if (result == 0 && flush(writer->fd) != 0) {
		fprintf(stderr, "postern: cannot flush the archive, or the "
		    "directory that it is in: %s\n", strerror(errno));
		result = -1;
	}
	queue_archive_abandon(writer);
	return result;
}

/* --- reading --- */

struct reader {
	struct archive		*archive;	/* owned */
	const struct queue_archive_visitor *visitor;
	struct queue_archive_about *about;
	struct digest		*digest;	/* owned; of descriptions */
	json_t			*message;	/* owned; whose body is next */
	bool			 begun, ended;
};

static const char not_ours[] = "it is no archive of `postern queue export`";

static int wrong(struct reader *reader, const char *problem)
{
	snprintf(reader->about->problem, sizeof(reader->about->problem),
	    "%s", problem);
	return -1;
}

static int wrong_message(struct reader *reader, const char *id,
    const char *problem)
{
	snprintf(reader->about->problem, sizeof(reader->about->problem),
	    "%s: %s", id, problem);
	return -1;
}

/* What is no tar file at all has no member that could say what it is. */
static int wrong_archive(struct reader *reader)
{
	const char *text = archive_error_string(reader->archive);
	int error = archive_errno(reader->archive);

	if (error > 0 && error != EILSEQ)
		return wrong(reader, strerror(error));
	if (!reader->begun)
		return wrong(reader, not_ours);
	return wrong(reader, text == NULL ? "it cannot be read" : text);
}

/* A whole member as JSON, new reference; null: it is none. */
static json_t *read_json(struct reader *reader, uint64_t length, bool counts)
{
	json_t *object = NULL;
	char *text;
	la_ssize_t got;

	if (length == 0 || length > QUEUE_ARCHIVE_JSON_MAX) {
		wrong(reader, "a description is empty or too large");
		return NULL;
	}
	text = mem_alloc((size_t)length);
	got = archive_read_data(reader->archive, text, (size_t)length);
	if (got == (la_ssize_t)length)
		object = json_loadb(text, (size_t)length,
		    JSON_REJECT_DUPLICATES, NULL);
	if (got != (la_ssize_t)length)
		wrong(reader, "it is cut");
	else if (!json_is_object(object))
		wrong(reader, "a description is not JSON");
	else if (counts)
		digest_add(reader->digest, text, (size_t)length);
	mem_free(text);
	if (object != NULL && !json_is_object(object)) {
		json_decref(object);
		object = NULL;
	}
	return object;
}

static bool is_name(const char *text)
{
	return text != NULL && text[0] != '\0' && strlen(text) <=
	    QUEUE_ARCHIVE_NAME_MAX && text[strspn(text,
	    "0123456789abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

static int take_manifest(struct reader *reader, uint64_t length)
{
	json_t *manifest = read_json(reader, length, false);
	const char *name = json_string_value(json_object_get(manifest,
	    "archive"));
	int result = -1;

	if (manifest == NULL)
		return -1;
	if (json_integer_value(json_object_get(manifest, "format")) !=
	    QUEUE_ARCHIVE_FORMAT)
		wrong(reader, "its format is not one that this version of "
		    "Postern knows");
	else if (!is_name(name))
		wrong(reader, "its name is malformed");
	else
		result = 0;
	if (result == 0)
		snprintf(reader->about->name, sizeof(reader->about->name),
		    "%s", name);
	reader->begun = true;
	json_decref(manifest);
	return result;
}

static int take_totals(struct reader *reader, uint64_t length)
{
	json_t *totals = read_json(reader, length, false);
	uint8_t digest[DIGEST_BYTES];
	char hex[2 * DIGEST_BYTES + 1];
	const char *said;
	int result = 0;

	if (totals == NULL)
		return -1;
	digest_end(reader->digest, digest);
	reader->digest = NULL;
	hex_format(digest, sizeof(digest), hex, sizeof(hex));
	said = json_string_value(json_object_get(totals, "sha256"));
	if (json_integer_value(json_object_get(totals, "messages")) !=
	    (json_int_t)reader->about->messages ||
	    json_integer_value(json_object_get(totals, "bytes")) !=
	    (json_int_t)reader->about->bytes || said == NULL ||
	    strcmp(said, hex) != 0)
		result = wrong(reader, "its totals do not agree with what is "
		    "in it");
	reader->ended = true;
	json_decref(totals);
	return result;
}

/* --- a message --- */

/* Bytes of a row, owned; null: it is none. */
static uint8_t *row_bytes(const json_t *value, size_t most, size_t *length)
{
	uint8_t *data = control_bytes(value, most, length);

	if (data == NULL || *length > 0)
		return data;
	mem_free(data);
	return NULL;
}

static bool envelope_is_good(const json_t *message, struct arena *arena)
{
	const char *hash = json_string_value(json_object_get(message,
	    "sha256"));
	char hex[2 * DIGEST_BYTES + 1];
	struct record_message *record;
	size_t length;
	uint8_t *data = row_bytes(json_object_get(message, "envelope"),
	    RECORD_MESSAGE_MAX, &length);

	if (data == NULL)
		return false;
	record = record_get_message(data, length, arena);
	mem_free(data);
	if (record == NULL || hash == NULL)
		return false;
	hex_format(record->digest, DIGEST_BYTES, hex, sizeof(hex));
	return strcmp(hex, hash) == 0 && record->body_length ==
	    (uint64_t)json_integer_value(json_object_get(message, "length"));
}

static bool slices_are_good(const json_t *slices, struct arena *arena)
{
	const json_t *value;
	size_t i;

	if (json_array_size(slices) == 0 ||
	    json_array_size(slices) > SLICES_MOST)
		return false;
	json_array_foreach((json_t *)(uintptr_t)slices, i, value) {
		size_t length;
		uint8_t *data = row_bytes(value, RECORD_SLICE_MAX, &length);
		bool good = data != NULL;

		arena_reset(arena);
		if (good)
			good = record_get_slice(data, length, arena) != NULL;
		mem_free(data);
		if (!good)
			return false;
	}
	return true;
}

static int take_message(struct reader *reader, const char *id,
    uint64_t length)
{
	struct arena *arena;
	const char *said;
	bool good;

	if (reader->message != NULL)
		return wrong(reader, "a message has no body");
	reader->message = read_json(reader, length, true);
	if (reader->message == NULL)
		return -1;
	arena = arena_new(ROWS_ARENA);
	said = json_string_value(json_object_get(reader->message, "id"));
	good = said != NULL && strcmp(said, id) == 0 &&
	    envelope_is_good(reader->message, arena) &&
	    slices_are_good(json_object_get(reader->message, "slices"), arena);
	arena_free(arena);
	if (!good)
		return wrong_message(reader, id, "the description of the "
		    "message is malformed");
	if (reader->visitor->message != NULL)
		return reader->visitor->message(reader->visitor->arg,
		    reader->message);
	return 0;
}

static int read_body(struct reader *reader, uint64_t length, uint8_t *out)
{
	struct digest *digest = digest_new();
	char *piece = mem_alloc(PIECE_BYTES);
	uint64_t done = 0;
	int result = 0;

	while (result == 0 && done < length) {
		la_ssize_t got = archive_read_data(reader->archive, piece,
		    PIECE_BYTES);

		if (got <= 0)
			result = wrong(reader, "it is cut");
		else {
			digest_add(digest, piece, (size_t)got);
			done += (uint64_t)got;
		}
		if (result == 0 && done <= length &&
		    reader->visitor->body != NULL)
			result = reader->visitor->body(reader->visitor->arg,
			    piece, (size_t)got);
	}
	digest_end(digest, out);
	mem_free(piece);
	return result;
}

static int take_body(struct reader *reader, const char *id, uint64_t length)
{
	uint8_t digest[DIGEST_BYTES];
	char hex[2 * DIGEST_BYTES + 1];
	json_t *message = reader->message;
	int result;

	if (message == NULL || strcmp(id, json_string_value(json_object_get(
	    message, "id"))) != 0 || length != (uint64_t)json_integer_value(
	    json_object_get(message, "length")))
		return wrong_message(reader, id, "the body is out of place, "
		    "or has another length than its description says");
	if (read_body(reader, length, digest) != 0)
		return -1;
	hex_format(digest, sizeof(digest), hex, sizeof(hex));
	if (strcmp(hex, json_string_value(json_object_get(message,
	    "sha256"))) != 0)
		return wrong_message(reader, id, "the body has another "
		    "digest than its description says");
	reader->about->messages++;
	reader->about->bytes += length;
	result = reader->visitor->end == NULL ? 0 :
	    reader->visitor->end(reader->visitor->arg, message);
	json_decref(message);
	reader->message = NULL;
	return result;
}

/* --- members --- */

/* "3f2a.json": the identifier; false: it is no such name. */
static bool split_name(const char *name, const char *suffix, char *id)
{
	size_t digits = strspn(name, "0123456789abcdef");

	if (digits == 0 || digits > ID_MAX || strcmp(name + digits, suffix) != 0)
		return false;
	snprintf(id, ID_MAX + 1, "%.*s", (int)digits, name);
	return true;
}

static int take_member(struct reader *reader, struct archive_entry *entry)
{
	const char *name = archive_entry_pathname(entry);
	la_int64_t size = archive_entry_size(entry);
	char id[ID_MAX + 1];

	if (name == NULL || archive_entry_filetype(entry) != AE_IFREG ||
	    archive_entry_hardlink(entry) != NULL || size < 0 ||
	    archive_entry_sparse_count(entry) > 0)
		return wrong(reader, "something in it is no regular file");
	if (reader->ended)
		return wrong(reader, "something comes behind its end");
	if (!reader->begun)
		return strcmp(name, "manifest.json") == 0 ?
		    take_manifest(reader, (uint64_t)size) :
		    wrong(reader, not_ours);
	if (split_name(name, ".json", id))
		return take_message(reader, id, (uint64_t)size);
	if (split_name(name, ".body", id))
		return take_body(reader, id, (uint64_t)size);
	if (strcmp(name, "totals.json") == 0 && reader->message == NULL)
		return take_totals(reader, (uint64_t)size);
	return wrong(reader, "something in it has a name that none has");
}

static int read_members(struct reader *reader)
{
	struct archive_entry *entry;
	int result;

	while ((result = archive_read_next_header(reader->archive, &entry)) ==
	    ARCHIVE_OK)
		if (take_member(reader, entry) != 0)
			return -1;
	if (result != ARCHIVE_EOF)
		return wrong_archive(reader);
	if (!reader->ended)
		return wrong(reader, "it is cut: its totals are missing");
	return 0;
}

static void reader_begin(struct reader *reader,
    const struct queue_archive_visitor *visitor,
    struct queue_archive_about *about)
{
	static const struct queue_archive_visitor nobody;

	memset(about, 0, sizeof(*about));
	*reader = (struct reader){ .visitor = visitor == NULL ? &nobody :
	    visitor, .about = about, .archive = archive_read_new(),
	    .digest = digest_new() };
	archive_read_support_filter_none(reader->archive);
	archive_read_support_format_tar(reader->archive);
}

static int reader_end(struct reader *reader, int result)
{
	json_decref(reader->message);
	digest_free(reader->digest);
	archive_read_free(reader->archive);
	return result;
}

int queue_archive_read(int fd, const struct queue_archive_visitor *visitor,
    struct queue_archive_about *about)
{
	struct reader reader;

	reader_begin(&reader, visitor, about);
	if (archive_read_open_fd(reader.archive, fd, PIECE_BYTES) !=
	    ARCHIVE_OK)
		return reader_end(&reader, wrong_archive(&reader));
	return reader_end(&reader, read_members(&reader));
}

int queue_archive_read_memory(const void *data, size_t length,
    const struct queue_archive_visitor *visitor,
    struct queue_archive_about *about)
{
	struct reader reader;

	reader_begin(&reader, visitor, about);
	if (archive_read_open_memory(reader.archive, data, length) !=
	    ARCHIVE_OK)
		return reader_end(&reader, wrong_archive(&reader));
	return reader_end(&reader, read_members(&reader));
}
