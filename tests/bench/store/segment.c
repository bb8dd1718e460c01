/* SPDX-License-Identifier: ISC */
/*
 * Bodies in segments: a new table is begun when the last has grown to its
 * size, an id belongs to the segment whose range it falls in, chunks are never
 * deleted one by one, and a segment whose last message has gone is dropped as
 * a file. The names carry the first id, so the range survives a restart.
 */
#include "tests/bench/store/bench.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void segment_name(uint64_t first_id, char *out, size_t size)
{
	snprintf(out, size, "segment.%016" PRIx64 ".db", first_id);
}

static void segment_add(struct engine *engine, uint64_t first_id)
{
	struct segment *segment;
	char name[64];

	engine->segments = realloc(engine->segments,
	    (engine->segment_count + 1) * sizeof(*engine->segments));
	if (engine->segments == NULL)
		die("memory", ENOMEM);
	segment = &engine->segments[engine->segment_count];
	if (engine->segment_count > 0 && segment[-1].first_id >= first_id)
		die("identifiers go backwards", 0);
	engine->segment_count++;
	segment_name(first_id, name, sizeof(name));
	*segment = (struct segment){ .first_id = first_id,
	    .db = engine_table_open(engine, name) };
}

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *left = a, *right = b;

	return *left < *right ? -1 : *left > *right;
}

void segment_open_all(struct engine *engine)
{
	DIR *directory = opendir(engine->settings.home);
	struct dirent *entry;
	uint64_t *ids = NULL;
	size_t count = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		uint64_t id;

		if (sscanf(entry->d_name, "segment.%16" SCNx64 ".db", &id) != 1)
			continue;
		ids = realloc(ids, (count + 1) * sizeof(*ids));
		if (ids == NULL)
			die("memory", ENOMEM);
		ids[count++] = id;
	}
	if (directory != NULL)
		closedir(directory);
	if (count > 0)
		qsort(ids, count, sizeof(*ids), compare_ids);
	for (size_t i = 0; i < count; i++)
		segment_add(engine, ids[i]);
	free(ids);
	if (count == 0)
		segment_add(engine, 0);
	segment_recount(engine);
}

void segment_close_all(struct engine *engine)
{
	for (size_t i = 0; i < engine->segment_count; i++)
		engine->segments[i].db->close(engine->segments[i].db, 0);
	free(engine->segments);
	engine->segments = NULL;
	engine->segment_count = 0;
}

struct segment *segment_of(struct engine *engine, uint64_t id)
{
	size_t low = 0, high = engine->segment_count;

	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (engine->segments[middle].first_id <= id)
			low = middle;
		else
			high = middle;
	}
	return &engine->segments[low];
}

/*
 * That its messages have gone is made durable, then the file goes as its last
 * handle closes. Not by dbremove: killed in the middle of that, recovery can
 * leave an empty file under the name.
 */
static void segment_drop(struct engine *engine, size_t place)
{
	struct segment *segment = &engine->segments[place];
	DB *db = segment->db;
	int error = engine->env->log_flush(engine->env, NULL);

	if (error == 0)
		error = db->get_mpf(db)->set_flags(db->get_mpf(db),
		    DB_MPOOL_UNLINK, 1);
	if (error == 0)
		error = db->close(db, DB_NOSYNC);
	if (error != 0)
		die("drop", error);
	memmove(segment, segment + 1, (engine->segment_count - place - 1) *
	    sizeof(*segment));
	engine->segment_count--;
	engine->segments_dropped++;
}

void segment_turn(struct engine *engine, uint64_t next_id)
{
	size_t last = engine->segment_count - 1;

	if (engine->settings.segment_bytes == 0)
		return;
	if (engine->segments[last].bytes >= engine->settings.segment_bytes)
		segment_add(engine, next_id);
	for (size_t i = 0; i + 1 < engine->segment_count; i++)
		if (engine->segments[i].live == 0) {
			if (pthread_mutex_trylock(&engine->pages) != 0)
				return;
			segment_drop(engine, i);
			pthread_mutex_unlock(&engine->pages);
			return;
		}
}

void segment_recount(struct engine *engine)
{
	struct message message = { .id = 0 };

	while (message_next(engine, &message)) {
		struct segment *segment = segment_of(engine, message.id);

		segment->live++;
		segment->bytes += message.size;
	}
}
