/* SPDX-License-Identifier: ISC */
/*
 * The measured phases. Each runs in a child of its own, since a private
 * environment belongs to one process; figures come back as JSON.
 */
#include "tests/bench/store/bench.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

void home_clear(const char *home)
{
	char name[4096];
	struct dirent *entry;
	DIR *directory = opendir(home);

	if (directory == NULL)
		return;
	while ((entry = readdir(directory)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", home, entry->d_name);
		unlink(name);
	}
	closedir(directory);
}

json_t *phase_run(phase_body *body, const struct settings *settings, const void *arg)
{
	int ends[2], status;
	json_t *result;
	FILE *in;
	pid_t child;

	fflush(NULL);
	if (pipe(ends) != 0 || (child = fork()) < 0)
		die("fork", errno);
	if (child == 0) {
		FILE *out = fdopen(ends[1], "w");

		close(ends[0]);
		result = body(settings, arg);
		if (out == NULL || json_dumpf(result, out, 0) != 0 ||
		    fclose(out) != 0)
			die("figures", errno);
		_exit(0);
	}
	close(ends[1]);
	in = fdopen(ends[0], "r");
	result = in != NULL ? json_loadf(in, 0, NULL) : NULL;
	if (in != NULL)
		fclose(in);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		continue;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0 && result != NULL)
		return result;
	json_decref(result);
	return json_pack("{s:i}", "exit", WIFEXITED(status) ?
	    WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static json_t *load_body(const struct settings *settings, const void *arg)
{
	struct engine engine;
	json_t *result, *space;

	engine_open(&engine, settings);
	result = load_run(&engine, arg);
	engine_checkpoint(&engine);
	space = engine_space(&engine);
	json_object_set_new(result, "space", space);
	engine_close(&engine);
	return result;
}

/* More than the cache holds; less in a short run, for filling takes time. */
static uint64_t standing_for(uint64_t seconds)
{
	return seconds >= 5 ? 30000 : 2000;
}

/* Accept only, and accept + remove, at batch sizes 1, 32 and 128. */
json_t *phase_rates(const struct settings *settings, uint64_t seconds)
{
	static const int batches[] = { 1, 32, 128 };
	static const int depths[] = { 1, 4 };
	json_t *rows = json_array();

	for (int b = 0; b < 3; b++)
		for (int d = 0; d < 2; d++)
			for (int remove = 0; remove < 2; remove++) {
				struct load load = { .batch = batches[b],
				    .depth = depths[d], .remove = remove,
				    .size = 4608, .seconds = seconds,
				    .standing = standing_for(seconds),
				    .ledger = -1, .first_id = 1 };
				json_t *row;

				home_clear(settings->home);
				row = phase_run(load_body, settings, &load);
				json_object_set_new(row, "depth",
				    json_integer(load.depth));
				json_object_set_new(row, "what", json_string(
				    remove ? "accept+remove" : "accept"));
				fprintf(stderr, "rates: %s\n",
				    json_dumps(row, JSON_COMPACT |
				    JSON_REAL_PRECISION(6)));
				json_array_append_new(rows, row);
			}
	return rows;
}

struct variant {
	const char	*name;
	uint32_t	 page, chunk, flag;
	bool		 locks, zero, spare, early;
	uint64_t	 checkpoint, segment;	/* MB */
};

json_t *phase_variants(const struct settings *settings, uint64_t seconds)
{
	static const struct variant variants[] = {
		{ "base", 4096, 4000, DB_TXN_NOSYNC, .checkpoint = 64 },
		{ "chunk 4056", 4096, 4056, DB_TXN_NOSYNC, .checkpoint = 64 },
		{ "chunk 16 KiB", 4096, 16256, DB_TXN_NOSYNC,
		    .checkpoint = 64 },
		{ "page 8192", 8192, 8096, DB_TXN_NOSYNC, .checkpoint = 64 },
		{ "page 16384, chunk 32 KiB", 16384, 32640, DB_TXN_NOSYNC,
		    .checkpoint = 64 },
		{ "with lock manager", 4096, 4000, DB_TXN_NOSYNC,
		    .locks = true, .checkpoint = 64 },
		{ "WRITE_NOSYNC", 4096, 4000, DB_TXN_WRITE_NOSYNC,
		    .checkpoint = 64 },
		{ "DB_LOG_ZERO", 4096, 4000, DB_TXN_NOSYNC, .zero = true,
		    .checkpoint = 64 },
		{ "spare log", 4096, 4000, DB_TXN_NOSYNC, .spare = true,
		    .checkpoint = 64 },
		{ "early write-back", 4096, 4000, DB_TXN_NOSYNC,
		    .early = true, .checkpoint = 64 },
		{ "spare log, early write-back", 4096, 4000, DB_TXN_NOSYNC,
		    .spare = true, .early = true, .checkpoint = 64 },
		{ "checkpoint 256 MB", 4096, 4000, DB_TXN_NOSYNC,
		    .checkpoint = 256 },
		{ "segments 64 MB", 4096, 4000, DB_TXN_NOSYNC,
		    .checkpoint = 64, .segment = 64 },
		{ "segments 64 MB, chunk 4056, spare log", 4096, 4056,
		    DB_TXN_NOSYNC, .checkpoint = 64, .segment = 64,
		    .spare = true },
	};
	static const int batches[] = { 1, 32 };
	json_t *rows = json_array();

	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++)
		for (int b = 0; b < 2; b++) {
			const struct variant *variant = &variants[i];
			struct settings changed = *settings;
			struct load load = { .batch = batches[b], .depth = 4,
			    .remove = true, .size = 4608, .seconds = seconds,
			    .standing = standing_for(seconds), .ledger = -1,
			    .first_id = 1 };
			json_t *row;

			changed.page_bytes = variant->page;
			changed.chunk_bytes = variant->chunk;
			changed.commit_flag = variant->flag;
			changed.locks = variant->locks;
			changed.zero_log = variant->zero;
			changed.spare_log = variant->spare;
			changed.early_writes = variant->early;
			changed.checkpoint_bytes = variant->checkpoint << 20;
			changed.segment_bytes = variant->segment << 20;
			home_clear(changed.home);
			row = phase_run(load_body, &changed, &load);
			json_object_set_new(row, "variant",
			    json_string(variant->name));
			fprintf(stderr, "variant: %s\n", json_dumps(row,
			    JSON_COMPACT | JSON_REAL_PRECISION(6)));
			json_array_append_new(rows, row);
		}
	return rows;
}

/* Gives pages back in small steps; how long the loop would stand each time. */
static json_t *compact_measured(struct engine *engine)
{
	struct histogram steps = { .total = 0 };
	uint64_t started = now_micro(), before, freed = 0;
	json_t *result;

	before = directory_bytes(engine->settings.home, "bodies");
	for (int table = 0; table < TABLE_COUNT; table++) {
		DB *db = engine->tables[table];
		DBT start = { .flags = 0 }, end = { .flags = DB_DBT_MALLOC };

		for (int step = 0; step < 1000000; step++) {
			DB_COMPACT about = { .compact_pages = 256,
			    .compact_fillpercent = 70 };
			uint64_t at = now_micro();
			int error = db->compact(db, NULL, &start, NULL, &about,
			    DB_FREE_SPACE, &end);

			if (error != 0)
				die("compact", error);
			histogram_add(&steps, now_micro() - at);
			freed += about.compact_pages_truncated;
			bool moved = end.size != start.size ||
			    memcmp(end.data, start.data, end.size) != 0;
			free(start.data);
			start = (DBT){ .data = end.data, .size = end.size };
			end = (DBT){ .flags = DB_DBT_MALLOC };
			if (!moved || start.size == 0)
				break;
		}
		free(start.data);
	}
	engine_checkpoint(engine);
	result = json_pack("{s:f,s:f,s:f,s:I,s:o}",
	    "seconds", (double)(now_micro() - started) / 1e6,
	    "bodies_MB_before", (double)before / 1e6,
	    "bodies_MB_after", (double)directory_bytes(engine->settings.home,
	    "bodies") / 1e6, "pages_freed", (json_int_t)freed,
	    "step_ms", histogram_json(&steps));
	return result;
}

static json_t *compact_body(const struct settings *settings, const void *arg)
{
	struct engine engine;
	json_t *result;

	(void)arg;
	engine_open(&engine, settings);
	result = compact_measured(&engine);
	json_object_set_new(result, "open_seconds",
	    json_real(engine.open_seconds));
	engine_close(&engine);
	return result;
}

static void report(json_t *all, const char *name, json_t *value)
{
	fprintf(stderr, "%s: %s\n", name, json_dumps(value, JSON_COMPACT |
	    JSON_REAL_PRECISION(6)));
	json_object_set_new(all, name, value);
}

/*
 * A backlog of small messages is built, then drained from the front of its
 * schedule, oldest first and each body read, while mixed mail comes in.
 */
json_t *phase_backlog(const struct settings *settings, uint64_t count,
    uint64_t seconds)
{
	struct load build = { .batch = 128, .depth = 4, .size = 1500,
	    .count = count, .ledger = -1, .first_id = 1 };
	struct load drain = { .batch = 32, .depth = 4, .mixed = true,
	    .drain = 160, .read = true, .max_seconds = seconds, .ledger = -1,
	    .first_id = count + 1000000 };
	json_t *all = json_object();

	home_clear(settings->home);
	report(all, "build", phase_run(load_body, settings, &build));
	report(all, "crash_with_backlog", crash_rounds(settings, 2, count,
	    NULL));
	report(all, "drain", phase_run(load_body, settings, &drain));
	report(all, "compact", phase_run(compact_body, settings, NULL));
	return all;
}

/* Mixed mail at full speed, the queue larger than the cache, minute rows. */
static json_t *steady_body(const struct settings *settings, const void *arg)
{
	const struct load *load = arg;
	json_t *rows = json_array();
	struct load minute = *load;
	struct engine engine;

	engine_open(&engine, settings);
	for (uint64_t left = load->seconds; left > 0; left -= minute.seconds) {
		json_t *row;

		minute.seconds = left < 60 ? left : 60;
		row = load_run(&engine, &minute);
		json_object_set_new(row, "space", engine_space(&engine));
		fprintf(stderr, "steady: %s\n", json_dumps(row, JSON_COMPACT |
		    JSON_REAL_PRECISION(6)));
		json_array_append_new(rows, row);
		/* What this minute left standing leaves by the schedule. Ids
		 * never go backwards: segments are ranges of them. */
		struct load clear = { .batch = 0, .depth = 1, .drain = 128,
		    .read = true, .max_seconds = 60, .ledger = -1,
		    .first_id = minute.first_id + 5000000 };
		json_decref(load_run(&engine, &clear));
		minute.first_id += 10000000;
	}
	engine_close(&engine);
	return rows;
}

json_t *phase_steady(const struct settings *settings, uint64_t seconds)
{
	struct load load = { .batch = 32, .depth = 4, .mixed = true,
	    .remove = true, .read = true,
	    .standing = seconds >= 60 ? 20000 : 2000,
	    .seconds = seconds, .ledger = -1, .first_id = 1 };

	home_clear(settings->home);
	return phase_run(steady_body, settings, &load);
}
