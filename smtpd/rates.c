/* SPDX-License-Identifier: ISC */
/*
 * A cell is the "theoretical arrival time" of a leaky bucket (the cell rate
 * algorithm of ATM): each one taken moves it on by its share of the time, and
 * none is to be had while it is further ahead than the whole time allows. Other
 * processes write to the cells at any time, and nothing in them is trusted: a
 * number further ahead than any limit can be is taken for none.
 */
#include "smtpd/rates.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "smtpd/counters.h"

enum { FRACTION_BITS = 20, KEY_BYTES = 16 };

/* The longest time of a limit, 31 days: conf/value.c. */
#define FARTHEST ((uint64_t)31 * 86400 * 1000 << FRACTION_BITS)

struct rates {
	struct rate_memory	*memory;
	bool			 own;		/* mapped by us */
	uint8_t			 key[KEY_BYTES];
};

/* A limit in the unit of the cells. */
struct bucket {
	uint64_t	 now;
	uint64_t	 share;		/* of one */
	uint64_t	 ahead;		/* how far it may be, to take one */
	_Atomic uint64_t *cells[RATE_ROWS];
};

struct rates *rates_new(void)
{
	struct rates *rates = mem_alloc(sizeof(*rates));

	/* Pages nobody has written to cost nothing. */
	rates->memory = mmap(NULL, sizeof(*rates->memory),
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (rates->memory == MAP_FAILED)
		fatal("no memory for rates");
	rates->own = true;
	random_bytes(rates->key, sizeof(rates->key));
	return rates;
}

static void release_memory(struct rates *rates)
{
	if (rates->own)
		munmap(rates->memory, sizeof(*rates->memory));
	rates->own = false;
}

void rates_join(struct rates *rates, struct counters *counters)
{
	release_memory(rates);
	rates->memory = counters_rates(counters, rates->key);
}

void rates_free(struct rates *rates)
{
	release_memory(rates);
	mem_free(rates);
}

/* The limit is part of the name: another one begins anew. */
static void find_cells(struct rates *rates, const struct rate_subject *subject,
    const struct conf_rate *limit, struct bucket *bucket)
{
	struct {
		int64_t	 kind, count, seconds;
		char	 name[RATE_NAME_MAX];
	} key;
	size_t length = subject->length < RATE_NAME_MAX ? subject->length :
	    RATE_NAME_MAX;
	uint64_t hash;

	key.kind = subject->kind;
	key.count = limit->count;
	key.seconds = limit->seconds;
	memcpy(key.name, subject->name, length);
	hash = hash_sip(rates->key, &key, sizeof(key) - sizeof(key.name) +
	    length);
	for (unsigned row = 0; row < RATE_ROWS; row++)
		bucket->cells[row] = &rates->memory->cells[row][hash >>
		    (32 * row) & (RATE_CELLS - 1)];
}

static uint64_t begin_of(const struct bucket *bucket, uint64_t cell)
{
	return cell > bucket->now && cell - bucket->now <= FARTHEST ? cell :
	    bucket->now;
}

/* How long until it has one; 0: it has. */
static uint64_t wait_of(const struct bucket *bucket, uint64_t cell)
{
	uint64_t ahead = begin_of(bucket, cell) - bucket->now;

	return ahead > bucket->ahead ? ahead - bucket->ahead : 0;
}

static uint64_t moved(const struct bucket *bucket, uint64_t cell)
{
	uint64_t next = begin_of(bucket, cell) + bucket->share;

	return next - bucket->now > FARTHEST ? bucket->now + FARTHEST : next;
}

/* 0 and one is taken, or how long until there is one. */
static uint64_t take(const struct bucket *bucket, unsigned row)
{
	uint64_t cell = atomic_load(bucket->cells[row]), wait;

	do {
		wait = wait_of(bucket, cell);
		if (wait > 0)
			return wait;
	} while (!atomic_compare_exchange_weak(bucket->cells[row], &cell,
	    moved(bucket, cell)));
	return 0;
}

/* It was taken in another row. */
static void follow(const struct bucket *bucket, unsigned row)
{
	uint64_t cell = atomic_load(bucket->cells[row]);

	while (!atomic_compare_exchange_weak(bucket->cells[row], &cell,
	    moved(bucket, cell)))
		;
}

static uint64_t take_any(const struct bucket *bucket, bool look_only)
{
	uint64_t least = UINT64_MAX, wait;

	for (unsigned row = 0; row < RATE_ROWS; row++) {
		wait = look_only ? wait_of(bucket,
		    atomic_load(bucket->cells[row])) : take(bucket, row);
		if (wait < least)
			least = wait;
		if (wait > 0)
			continue;
		for (unsigned other = 0; !look_only && other < RATE_ROWS;
		    other++)
			if (other != row)
				follow(bucket, other);
		break;
	}
	return least;
}

int64_t rates_take(struct rates *rates, const struct rate_subject *subject,
    const struct conf_rate *limit, bool look_only)
{
	uint64_t whole = (uint64_t)limit->seconds * 1000 << FRACTION_BITS;
	uint64_t second = (uint64_t)1000 << FRACTION_BITS, wait;
	struct bucket bucket;

	bucket.now = (uint64_t)clock_monotonic() << FRACTION_BITS;
	bucket.share = whole / (uint64_t)limit->count;
	bucket.ahead = whole - bucket.share;
	find_cells(rates, subject, limit, &bucket);
	wait = take_any(&bucket, look_only);
	return (int64_t)((wait + second - 1) / second);
}
