/* SPDX-License-Identifier: ISC */
/*
 * After damage: the files are put aside, and every row that can still be read
 * goes into a fresh environment; what is missing is named in the log. Nothing
 * of the damaged files is deleted: they stay in damaged.N, an operator's
 * evidence. Sound tables are copied row by row. Others are copied to a file in
 * which every page with a wrong checksum is made an empty one (Berkeley DB's
 * own dump gives up at the first such page), and the rest is dumped. Bodies
 * that lost chunks are found by their readers.
 */
#include "queue/store_internal.h"

#include <ctype.h>
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

enum { ROWS_IN_BATCH = 256, SETS_ASIDE = 1000, SEGMENT_TAG = 8 };

struct salvage {
	const char	*directory;
	char		 aside[PATH_MAX];	/* where the old files are */
	DB_ENV		*env;
	DB		*into;			/* table being filled */
	DB_TXN		*batch;
	unsigned	 rows_in_batch;
	uint64_t	 rows;
	bool		 lost_messages;	/* their table was not sound */
};

struct names {
	char		**list;		/* owned */
	size_t		 count;
};

static bool has_suffix(const char *name, const char *suffix)
{
	size_t length = strlen(name), want = strlen(suffix);

	return length > want && strcmp(name + length - want, suffix) == 0;
}

static bool is_table(const char *name)
{
	return has_suffix(name, ".db");
}

static bool is_ours(const char *name)
{
	return is_table(name) || strncmp(name, "log.", 4) == 0 ||
	    strncmp(name, "__db", 4) == 0;
}

static void names_read(struct names *names, const char *directory,
    bool (*wanted)(const char *name))
{
	DIR *stream = opendir(directory);
	struct dirent *entry;

	*names = (struct names){ 0 };
	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		if (!wanted(entry->d_name))
			continue;
		names->list = mem_resize(names->list, names->count + 1,
		    sizeof(*names->list));
		names->list[names->count++] = mem_dup_string(entry->d_name);
	}
	if (stream != NULL)
		closedir(stream);
}

static void names_release(struct names *names)
{
	for (size_t i = 0; i < names->count; i++)
		mem_free(names->list[i]);
	mem_free(names->list);
}

static void path_in(const char *directory, const char *name, char *path)
{
	if (snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX)
		fatal("path is too long", log_text("path", directory));
}

/* --- pages --- */

static FILE *open_or_die(const char *path, const char *mode)
{
	FILE *file = fopen(path, mode);

	if (file == NULL)
		fatal("cannot open", log_text("path", path),
		    log_errno(errno));
	return file;
}

/* What cannot be read is not damaged, nor is it the end: nothing is put aside
 * or left out for a disk that fails just now. */
static void read_whole_or_die(FILE *file, const char *path)
{
	if (ferror(file))
		fatal("cannot read", log_text("path", path),
		    log_errno(errno));
}

/* --- judging --- */

static void say_nothing(const DB_ENV *env, const char *prefix,
    const char *text)
{
	(void)env;
	(void)prefix;
	log_debug("berkeley db", log_text("text", text));
}

static DB *handle_new(void)
{
	DB *db;
	int error = db_create(&db, NULL, 0);

	if (error != 0)
		fatal("salvage", log_text("error", db_strerror(error)));
	db->set_errcall(db, say_nothing);
	return db;
}

static bool pages_are_sound(const char *path)
{
	unsigned char page[STORE_PAGE_BYTES];
	FILE *file = open_or_die(path, "re");
	bool sound = true;

	for (uint32_t number = 0; sound &&
	    fread(page, sizeof(page), 1, file) == 1; number++)
		sound = store_page_is_sound(page, number);
	read_whole_or_die(file, path);
	fclose(file);
	return sound;
}

/* First the sums: Berkeley DB panics at a wrong one. */
static bool table_is_sound(const char *path)
{
	DB *db;

	if (!pages_are_sound(path))
		return false;
	/* verify frees the handle, whatever it finds */
	db = handle_new();
	return db->verify(db, path, NULL, NULL, 0) == 0;
}

bool store_is_sound(const char *directory)
{
	struct names names;
	bool sound = true;

	names_read(&names, directory, is_table);
	for (size_t i = 0; i < names.count; i++) {
		char path[PATH_MAX];

		path_in(directory, names.list[i], path);
		if (table_is_sound(path))
			continue;
		log_error("table is damaged", log_text("path", path));
		sound = false;
	}
	names_release(&names);
	return sound;
}

/* --- filling the new tables --- */

static void check(int error, const char *what)
{
	if (error != 0)
		fatal("salvage failed", log_text("what", what),
		    log_text("error", db_strerror(error)));
}

static void batch_end(struct salvage *salvage)
{
	if (salvage->batch != NULL)
		check(salvage->batch->commit(salvage->batch, DB_TXN_NOSYNC),
		    "commit");
	salvage->batch = NULL;
	salvage->rows_in_batch = 0;
}

static void row_add(struct salvage *salvage, DBT *key, DBT *data)
{
	DB *db = salvage->into;

	if (salvage->batch == NULL)
		check(salvage->env->txn_begin(salvage->env, NULL,
		    &salvage->batch, 0), "begin");
	check(db->put(db, salvage->batch, key, data, 0), "put");
	salvage->rows++;
	if (++salvage->rows_in_batch == ROWS_IN_BATCH)
		batch_end(salvage);
}

/* Row by row; false when the table is not as sound as it seemed. */
static bool copy_rows(struct salvage *salvage, const char *path)
{
	DB *from = handle_new();
	DBT key = { .flags = 0 }, data = { .flags = 0 };
	DBC *cursor;
	int error = from->open(from, NULL, path, NULL, DB_BTREE, DB_RDONLY, 0);

	if (error == 0)
		error = from->cursor(from, NULL, &cursor, 0);
	if (error == 0) {
		while ((error = cursor->get(cursor, &key, &data,
		    DB_NEXT)) == 0)
			row_add(salvage, &key, &data);
		cursor->close(cursor);
	}
	from->close(from, 0);
	return error == DB_NOTFOUND;
}

/* Copies a table page by page, without what was damaged. */
static void mend(FILE *from, FILE *to, const char *path)
{
	unsigned char page[STORE_PAGE_BYTES];

	for (uint32_t number = 0; fread(page, sizeof(page), 1, from) == 1;
	    number++) {
		if (!store_page_is_sound(page, number)) {
			log_error("page is damaged", log_text("path", path),
			    log_number("page", number));
			if (number > 0)
				store_page_empty(page, number);
		}
		if (fwrite(page, sizeof(page), 1, to) != 1)
			fatal("cannot write", log_text("path", path),
			    log_errno(errno));
	}
	read_whole_or_die(from, path);
}

/* A dump line, " 0a1b...", to bytes in place; -1: no data line. */
static ssize_t line_bytes(char *line)
{
	static const char digits[] = "0123456789abcdef";
	size_t length = 0;
	char *in = line + 1;

	if (line[0] != ' ')
		return -1;
	while (isxdigit((unsigned char)in[0]) &&
	    isxdigit((unsigned char)in[1])) {
		const char *high = strchr(digits, tolower(in[0]));
		const char *low = strchr(digits, tolower(in[1]));

		line[length++] = (char)((high - digits) << 4 | (low - digits));
		in += 2;
	}
	return (ssize_t)length;
}

/* What the dump writes for an item it could not read. */
static bool is_unknown(const char *data, size_t length)
{
	static const char word[] = "UNKNOWN";

	return length >= sizeof(word) - 1 && length <= sizeof(word) + 5 &&
	    memcmp(data, word, sizeof(word) - 1) == 0;
}

static void load_dump(struct salvage *salvage, FILE *in)
{
	char *key_line = NULL, *data_line = NULL;
	size_t key_size = 0, data_size = 0;

	while (getline(&key_line, &key_size, in) > 0) {
		ssize_t key_length = line_bytes(key_line), data_length;

		if (key_length < 0)
			continue;	/* header and end of a table */
		if (getline(&data_line, &data_size, in) <= 0)
			break;
		data_length = line_bytes(data_line);
		if (data_length < 0 || key_length > STORE_KEY_MAX ||
		    is_unknown(key_line, (size_t)key_length) ||
		    is_unknown(data_line, (size_t)data_length))
			continue;
		DBT key = { .data = key_line, .size = (uint32_t)key_length };
		DBT data = { .data = data_line,
		    .size = (uint32_t)data_length };
		row_add(salvage, &key, &data);
	}
	free(key_line);
	free(data_line);
}

static void dump_rows(struct salvage *salvage, const char *path)
{
	char dump_path[PATH_MAX], mended_path[PATH_MAX];
	DB *from = handle_new();
	FILE *dump, *damaged, *mended;
	int error;

	path_in(salvage->aside, "dump", dump_path);
	path_in(salvage->aside, "mended", mended_path);
	damaged = open_or_die(path, "re");
	mended = open_or_die(mended_path, "we");
	mend(damaged, mended, path);
	fclose(damaged);
	if (fclose(mended) != 0)
		fatal("cannot write", log_text("path", mended_path),
		    log_errno(errno));
	dump = open_or_die(dump_path, "w+e");
	unlink(dump_path);
	error = from->verify(from, mended_path, NULL, dump, DB_SALVAGE);
	if (error != 0 && error != DB_VERIFY_BAD)
		log_error("table could be read in part only",
		    log_text("path", path),
		    log_text("error", db_strerror(error)));
	rewind(dump);
	load_dump(salvage, dump);
	fclose(dump);
	unlink(mended_path);
}

static void table_save(struct salvage *salvage, const char *name)
{
	char path[PATH_MAX];
	bool sound;

	path_in(salvage->aside, name, path);
	salvage->rows = 0;
	check(store_db_open(salvage->env, NULL, name, &salvage->into), name);
	sound = table_is_sound(path) && copy_rows(salvage, path);
	if (!sound && strcmp(name, store_table_names[STORE_MESSAGES]) == 0)
		salvage->lost_messages = true;
	if (!sound)
		dump_rows(salvage, path);
	batch_end(salvage);
	check(salvage->into->close(salvage->into, 0), "close");
	log_info("table saved", log_text("name", name), log_text("was",
	    sound ? "sound" : "damaged"), log_number("rows",
	    (int64_t)salvage->rows));
}

/* --- what is missing --- */

static bool has_message(DB *messages, uint64_t big_id)
{
	DBT key = { .data = &big_id, .size = sizeof(big_id) };

	return messages->exists(messages, NULL, &key, 0) == 0;
}

/* Messages known only by another table's keys, which begin with the id. Bodies
 * of what was delivered long since are among those of a segment: they say
 * something only when rows of messages were lost. */
static void name_lost(struct salvage *salvage, DB *messages, const char *name,
    uint64_t *living)
{
	uint64_t last = 0, id;
	DBT key = { .flags = 0 }, data = { .flags = DB_DBT_PARTIAL };
	DBC *cursor;
	DB *db;

	check(store_db_open(salvage->env, NULL, name, &db), name);
	check(db->cursor(db, NULL, &cursor, 0), "cursor");
	while (cursor->get(cursor, &key, &data, DB_NEXT) == 0) {
		if (key.size < sizeof(id))
			continue;
		memcpy(&id, key.data, sizeof(id));
		if (id == last)
			continue;
		last = id;
		if (has_message(messages, id))
			(*living)++;
		else if (salvage->lost_messages)
			log_error("body or recipients without an envelope",
			    log_message(be64toh(id)), log_text("in", name));
	}
	cursor->close(cursor);
	check(db->close(db, 0), "close");
}

/* The row of a segment: range and what lives there, made anew. */
static void segment_row(struct salvage *salvage, DB *messages, DB *internal,
    const uint64_t *firsts, size_t place)
{
	enum { END, BYTES, LIVE, LIVE_BYTES, MOVED_TO, NUMBERS };
	struct { char tag[SEGMENT_TAG]; uint64_t first; } key = {
	    "segment", htobe64(firsts[place]) };
	uint64_t numbers[NUMBERS] = { [END] = htobe64(UINT64_MAX) };
	uint64_t living = 0;
	char name[64];
	DBT at = { .data = &key, .size = sizeof(key) };
	DBT data = { .data = numbers, .size = sizeof(numbers),
	    .ulen = sizeof(numbers), .flags = DB_DBT_USERMEM };
	int error = internal->get(internal, NULL, &at, &data, 0);

	if (error != 0 || data.size != sizeof(numbers)) {
		log_warn("range of a segment is not known exactly",
		    log_number("first", (int64_t)firsts[place]));
		memset(numbers, 0, sizeof(numbers));
		numbers[END] = htobe64(firsts[place + 1]);
	}
	snprintf(name, sizeof(name), "segment.%016" PRIx64 ".db",
	    firsts[place]);
	name_lost(salvage, messages, name, &living);
	numbers[LIVE] = htobe64(living);
	/* never too few: a segment that seems full is not moved early */
	numbers[LIVE_BYTES] = numbers[BYTES];
	data.size = sizeof(numbers);
	salvage->into = internal;
	row_add(salvage, &at, &data);
	batch_end(salvage);
}

/* A volume of the history whose row was lost: kept, and as old as can be. */
static void volume_row(struct salvage *salvage, DB *internal,
    const char *name)
{
	struct { char tag[SEGMENT_TAG]; uint64_t number; } key = { "volume",
	    0 };
	uint64_t number, begun = 0;
	DBT at = { .data = &key, .size = sizeof(key) };
	DBT data = { .data = &begun, .size = sizeof(begun) };

	if (sscanf(name, "history.%16" SCNx64 ".db", &number) != 1)
		return;
	key.number = htobe64(number);
	if (internal->exists(internal, NULL, &at, 0) == 0)
		return;
	salvage->into = internal;
	row_add(salvage, &at, &data);
	batch_end(salvage);
}

static int compare_firsts(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

static void account(struct salvage *salvage, const struct names *names)
{
	uint64_t *firsts = mem_alloc_array(names->count + 1, sizeof(*firsts));
	uint64_t ignored = 0;
	size_t count = 0;
	DB *messages, *internal;

	check(store_db_open(salvage->env, NULL,
	    store_table_names[STORE_MESSAGES], &messages), "messages");
	check(store_db_open(salvage->env, NULL, "store.db", &internal),
	    "store.db");
	for (size_t i = 0; i < names->count; i++)
		volume_row(salvage, internal, names->list[i]);
	for (size_t i = 0; i < names->count; i++)
		if (sscanf(names->list[i], "segment.%16" SCNx64 ".db",
		    &firsts[count]) == 1)
			count++;
	qsort(firsts, count, sizeof(*firsts), compare_firsts);
	firsts[count] = UINT64_MAX;
	name_lost(salvage, messages, store_table_names[STORE_SLICES],
	    &ignored);
	for (size_t i = 0; i < count; i++)
		segment_row(salvage, messages, internal, firsts, i);
	check(messages->close(messages, 0), "close");
	check(internal->close(internal, 0), "close");
	mem_free(firsts);
}

/* --- putting the old files aside --- */

/*
 * Stopped at any point, the next start goes on:
 *
 *	salvaging.new	old files are on their way there; more to move
 *	salvaging	all old files are there; new tables are being filled,
 *			and begun anew if this was stopped
 *	damaged.N	done
 */
static const char moving_name[] = "salvaging.new";
static const char aside_name[] = "salvaging";

static bool exists(const char *directory, const char *name)
{
	char path[PATH_MAX];

	path_in(directory, name, path);
	return access(path, F_OK) == 0;
}

bool store_salvage_is_begun(const char *directory)
{
	return exists(directory, moving_name) || exists(directory, aside_name);
}

/* Moves our files to a directory, or removes them when it is null. */
static void clear_away(const char *directory, const char *to_directory)
{
	struct names names;

	names_read(&names, directory, is_ours);
	for (size_t i = 0; i < names.count; i++) {
		char from[PATH_MAX], to[PATH_MAX];
		int result;

		path_in(directory, names.list[i], from);
		if (to_directory != NULL) {
			path_in(to_directory, names.list[i], to);
			result = rename(from, to);
		} else {
			result = unlink(from);
		}
		if (result != 0)
			fatal("cannot put aside", log_text("path", from),
			    log_errno(errno));
	}
	names_release(&names);
	if (to_directory != NULL)
		store_os_sync_directory(to_directory);
	store_os_sync_directory(directory);
}

static void rename_in(const char *directory, const char *from, const char *to)
{
	char from_path[PATH_MAX], to_path[PATH_MAX];

	path_in(directory, from, from_path);
	path_in(directory, to, to_path);
	if (rename(from_path, to_path) != 0)
		fatal("cannot rename", log_text("path", from_path),
		    log_errno(errno));
	store_os_sync_directory(directory);
}

static void put_aside(struct salvage *salvage)
{
	char moving[PATH_MAX];

	path_in(salvage->directory, moving_name, moving);
	path_in(salvage->directory, aside_name, salvage->aside);
	if (exists(salvage->directory, aside_name)) {
		clear_away(salvage->directory, NULL);
		return;
	}
	if (mkdir(moving, 0700) != 0 && errno != EEXIST)
		fatal("cannot make directory", log_text("path", moving),
		    log_errno(errno));
	clear_away(salvage->directory, moving);
	rename_in(salvage->directory, moving_name, aside_name);
}

/* The name the old files will be kept under goes into the new tables: their
 * owner looks at what became of each message. */
static void name_aside(struct salvage *salvage, char *name, size_t size)
{
	DBT key = { .data = (char[]){ STORE_SALVAGED_KEY },
	    .size = sizeof(STORE_SALVAGED_KEY) - 1 };
	DBT data = { .data = name };
	int number = 1;

	do
		snprintf(name, size, "damaged.%d", number);
	while (exists(salvage->directory, name) && ++number < SETS_ASIDE);
	data.size = (uint32_t)strlen(name);
	check(store_db_open(salvage->env, NULL, "store.db", &salvage->into),
	    "store.db");
	row_add(salvage, &key, &data);
	batch_end(salvage);
	check(salvage->into->close(salvage->into, 0), "close");
}

void store_salvage(const struct store_options *options, const char *directory)
{
	struct salvage salvage = { .directory = directory };
	struct names names;
	char name[32];

	/* Files are read there as they are, and no start mends them. */
	if (store_pages_finish() != 0)
		fatal("salvage failed", log_text("what", "pages"),
		    log_errno(errno));
	put_aside(&salvage);
	log_warn("salvaging the store", log_text("from", salvage.aside));
	check(store_environment_open(options, directory, &salvage.env),
	    "environment");
	names_read(&names, salvage.aside, is_table);
	for (size_t i = 0; i < names.count; i++)
		table_save(&salvage, names.list[i]);
	account(&salvage, &names);
	names_release(&names);
	name_aside(&salvage, name, sizeof(name));
	check(salvage.env->txn_checkpoint(salvage.env, 0, 0, DB_FORCE),
	    "checkpoint");
	check(salvage.env->log_flush(salvage.env, NULL), "flush");
	check(salvage.env->close(salvage.env, 0), "close");
	rename_in(directory, aside_name, name);
	log_warn("salvage is complete", log_text("kept", name));
}
