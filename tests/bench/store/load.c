/* SPDX-License-Identifier: ISC */
/*
 * The loop thread's side: batches of accepted (and removed) messages, several
 * in flight at once, each timed from its begin until the flusher has made it
 * durable. A message counts as accepted only then.
 */
#include "tests/bench/store/bench.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BATCH = 128, MAX_FLIGHT = 2 * MAX_BATCH };

struct flight {			/* a batch on its way to the disk */
	uint64_t	 number, started;
	int		 accepted, removed;
	struct message	 in[MAX_BATCH], out[MAX_FLIGHT];
};

struct queue {			/* what stands, oldest first */
	struct message	*messages;	/* owned */
	size_t		 first, count, size;
};

struct run {
	struct engine	*engine;
	const struct load *load;
	struct queue	 standing;
	struct flight	*flights;	/* owned ring of load->depth */
	int		 first_flight, flight_count;
	uint64_t	 next_id, seed;
	uint64_t	 accepted, removed, bytes_in, refused;
	uint64_t	 log_before, page_before;
	bool		 drained;
	struct histogram durable, turn, turn_checkpoint;
};

static void queue_push(struct queue *queue, struct message message)
{
	if (queue->first + queue->count == queue->size) {
		if (queue->first > queue->size / 2) {
			memmove(queue->messages, queue->messages + queue->first,
			    queue->count * sizeof(*queue->messages));
			queue->first = 0;
		} else {
			queue->size = queue->size * 2 + 1024;
			queue->messages = realloc(queue->messages,
			    queue->size * sizeof(*queue->messages));
			if (queue->messages == NULL)
				die("memory", ENOMEM);
		}
	}
	queue->messages[queue->first + queue->count++] = message;
}

static struct message queue_pop(struct queue *queue)
{
	queue->count--;
	return queue->messages[queue->first++];
}

static double fraction(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return (double)(*seed >> 11) / 9007199254740992.0;
}

/* Mail as it comes: mostly small, few large; even on a log scale in a class. */
uint64_t mixed_size(uint64_t *seed)
{
	static const struct {
		double	 share, low, high;
	} classes[] = {
		{ 0.8500, 1 << 10, 8 << 10 },
		{ 0.9700, 8 << 10, 64 << 10 },
		{ 0.9980, 64 << 10, 1 << 20 },
		{ 0.9998, 1 << 20, 5 << 20 },
		{ 1.0000, 5 << 20, 25 << 20 },
	};
	double pick = fraction(seed), place = fraction(seed);
	int i = 0;

	while (pick >= classes[i].share)
		i++;
	return (uint64_t)(classes[i].low *
	    pow(classes[i].high / classes[i].low, place));
}

static void ledger_write(const struct load *load, enum ledger_event event,
    const struct message *messages, int count)
{
	struct ledger_record records[MAX_FLIGHT];
	size_t length = (size_t)count * sizeof(records[0]);

	if (load->ledger < 0 || count == 0)
		return;
	for (int i = 0; i < count; i++)
		records[i] = (struct ledger_record){ messages[i].id,
		    messages[i].size, event };
	if (write(load->ledger, records, length) != (ssize_t)length)
		die("ledger", errno);
}

/* Takes in batches that have become durable; waits for one if wait is set. */
static void reap(struct run *run, bool wait)
{
	while (run->flight_count > 0) {
		struct flight *flight = &run->flights[run->first_flight];
		uint64_t at;

		if (!engine_is_durable(run->engine, flight->number, wait, &at))
			return;
		wait = false;
		histogram_add(&run->durable, at - flight->started);
		ledger_write(run->load, LEDGER_SAFE, flight->in,
		    flight->accepted);
		ledger_write(run->load, LEDGER_REMOVED, flight->out,
		    flight->removed);
		run->accepted += (uint64_t)flight->accepted;
		run->removed += (uint64_t)flight->removed;
		for (int i = 0; i < flight->accepted; i++) {
			run->bytes_in += flight->in[i].size;
			queue_push(&run->standing, flight->in[i]);
		}
		run->first_flight = (run->first_flight + 1) % run->load->depth;
		run->flight_count--;
	}
}

static void choose_removals(struct run *run, struct flight *flight)
{
	const struct load *load = run->load;
	uint64_t keep = load->standing;

	if (load->drain > 0) {
		/* the schedule still shows what is in flight: wait first */
		while (run->flight_count > 0)
			reap(run, true);
		flight->removed = (int)message_due(run->engine, flight->out,
		    (size_t)(load->drain < MAX_FLIGHT ? load->drain :
		    MAX_FLIGHT));
		/* no more than the last turn put there: it is empty */
		run->drained = flight->removed <= load->batch;
		return;
	}
	while (load->remove && run->standing.count > keep &&
	    flight->removed < load->batch)
		flight->out[flight->removed++] = queue_pop(&run->standing);
}

static void turn(struct run *run)
{
	const struct load *load = run->load;
	struct engine *engine = run->engine;
	struct flight *flight = &run->flights[(run->first_flight +
	    run->flight_count) % load->depth];
	uint64_t started;
	bool checkpointing;
	DB_TXN *txn;
	int wanted = load->batch;

	segment_turn(engine, run->next_id);
	flight->accepted = flight->removed = 0;
	choose_removals(run, flight);
	if (load->heed_space && fault_reserve_is_used()) {
		run->refused += (uint64_t)wanted;
		wanted = 0;
	}
	for (int i = 0; i < wanted; i++)
		flight->in[flight->accepted++] = (struct message){
		    run->next_id++, load->mixed ? mixed_size(&run->seed) :
		    load->size };
	for (int i = 0; i < flight->accepted; i++)
		message_spill(engine, flight->in[i]);
	if (load->read)
		for (int i = 0; i < flight->removed; i++)
			if (message_check(engine, flight->out[i]) != 1)
				die("message damaged", 0);
	ledger_write(load, LEDGER_REMOVING, flight->out, flight->removed);

	checkpointing = engine->checkpointing;
	started = now_micro();
	flight->started = started;
	txn = engine_begin(engine);
	for (int i = 0; i < flight->accepted; i++)
		message_put(engine, txn, flight->in[i]);
	for (int i = 0; i < flight->removed; i++)
		message_remove(engine, txn, flight->out[i]);
	flight->number = engine_commit(engine, txn);
	histogram_add(checkpointing || engine->checkpointing ?
	    &run->turn_checkpoint : &run->turn, now_micro() - started);
	run->flight_count++;
	for (int i = 0; i < flight->removed; i++)
		message_unspill(engine, flight->out[i]);
	reap(run, run->flight_count == load->depth);
}

static bool run_is_over(const struct run *run, uint64_t started)
{
	const struct load *load = run->load;
	uint64_t seconds = (now_micro() - started) / 1000000;

	if (load->drain > 0)
		return run->drained || seconds >= load->max_seconds;
	if (load->heed_space && fault_reserve_is_used() &&
	    run->standing.count <= load->standing)
		return true;
	if (load->count > 0)
		return run->accepted >= load->count;
	if (load->remove && run->removed == 0 && seconds < 300)
		return false;
	return seconds >= load->seconds;
}

static void figures_restart(struct run *run)
{
	run->accepted = run->removed = run->bytes_in = 0;
	run->log_before = hook_counts.log_bytes;
	run->page_before = hook_counts.page_bytes;
	memset(&run->durable, 0, sizeof(run->durable));
	memset(&run->turn, 0, sizeof(run->turn));
	memset(&run->turn_checkpoint, 0, sizeof(run->turn_checkpoint));
}

static json_t *figures(const struct run *run, double seconds, uint64_t cpu)
{
	const struct engine *engine = run->engine;
	uint64_t handled = run->accepted > run->removed ? run->accepted :
	    run->removed;

	return json_pack("{s:i,s:I,s:I,s:I,s:f,s:f,s:f,s:f,s:f,"
	    "s:o,s:o,s:o,s:I,s:I,s:f,s:f,s:f,s:f,s:f,s:I}",
	    "batch", run->load->batch,
	    "accepted", (json_int_t)run->accepted,
	    "removed", (json_int_t)run->removed,
	    "refused", (json_int_t)run->refused,
	    "seconds", seconds,
	    "accepted_per_second", (double)run->accepted / seconds,
	    "removed_per_second", (double)run->removed / seconds,
	    "MB_per_second_in", (double)run->bytes_in / seconds / 1e6,
	    "cpu_us_per_message", handled == 0 ? 0.0 :
	    (double)cpu / (double)handled,
	    "durable_ms", histogram_json(&run->durable),
	    "turn_ms", histogram_json(&run->turn),
	    "turn_in_checkpoint_ms", histogram_json(&run->turn_checkpoint),
	    "flushes", (json_int_t)engine->flushes,
	    "checkpoints", (json_int_t)engine->checkpoints,
	    "checkpoint_seconds", engine->checkpoint_seconds,
	    "checkpoint_longest", engine->checkpoint_longest,
	    "log_highest_MB", (double)engine->log_highest / 1e6,
	    "log_bytes_per_message", handled == 0 ? 0.0 :
	    (double)(hook_counts.log_bytes - run->log_before) /
	    (double)handled,
	    "page_bytes_per_message", handled == 0 ? 0.0 :
	    (double)(hook_counts.page_bytes - run->page_before) /
	    (double)handled,
	    "segments_dropped", (json_int_t)engine->segments_dropped);
}

json_t *load_run(struct engine *engine, const struct load *load)
{
	struct run *run = calloc(1, sizeof(*run));
	uint64_t started = now_micro(), cpu = cpu_micro();
	/* a run by time that removes is measured from the first removal */
	bool warm = !load->remove || load->seconds == 0;
	json_t *result;
	double seconds;

	if (run == NULL)
		die("memory", ENOMEM);
	run->engine = engine;
	run->load = load;
	run->next_id = load->first_id;
	run->seed = UINT64_C(0x2545f4914f6cdd1d) + load->first_id;
	run->flights = calloc((size_t)load->depth, sizeof(*run->flights));
	if (run->flights == NULL)
		die("memory", ENOMEM);
	figures_restart(run);
	while (!run_is_over(run, started)) {
		turn(run);
		if (!warm && run->standing.count > load->standing) {
			warm = true;
			started = now_micro();
			cpu = cpu_micro();
			figures_restart(run);
		}
	}
	while (run->flight_count > 0)
		reap(run, true);
	seconds = (double)(now_micro() - started) / 1e6;
	result = figures(run, seconds, cpu_micro() - cpu);
	free(run->flights);
	free(run->standing.messages);
	free(run);
	return result;
}
