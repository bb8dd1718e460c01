/* SPDX-License-Identifier: ISC */
/*
 * The shared counters: see counters.h. Other processes write to the memory at
 * any time, so nothing in it is trusted to be an index or a size.
 */
#include "smtpd/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/tls_tickets.h"
#include "smtpd/rates.h"

enum { WORKERS_MAX = 64, ROWS = 2, SLOTS = 1 << 15, KEY_BYTES = 16 };

struct part {
	_Atomic uint16_t	 cells[ROWS][SLOTS];
};

/* In a cache line of its own: it changes with each connection. */
struct offer {
	alignas(64) _Atomic uint32_t sessions;	/* and 1; 0: takes none */
};

/* Written by several at a time, with the same bytes; whole if it checks. */
struct slot {
	struct tls_ticket_secret secret;
	uint8_t			 check[DIGEST_BYTES];
};

enum { SECRET_SLOTS = 2 };

struct memory {
	uint8_t			 key[KEY_BYTES];	/* of the hash */
	struct slot		 slots[SECRET_SLOTS];	/* by epoch */
	_Atomic uint32_t	 workers;	/* as many parts are in use */
	struct offer		 offers[WORKERS_MAX];
	struct part		 parts[WORKERS_MAX];
	struct rate_memory	 rates;
};

struct counters {
	struct memory		*memory;	/* mapped */
	struct part		*own;		/* in memory */
	struct offer		*offer;		/* ours, in memory */
	uint8_t			 key[KEY_BYTES];
};

/* The cell of each row. */
static void find_slots(const struct counters *counters, const void *client,
    size_t length, size_t *slots)
{
	uint64_t hash = hash_sip(counters->key, client, length);

	for (unsigned row = 0; row < ROWS; row++)
		slots[row] = hash >> (32 * row) & (SLOTS - 1);
}

static void fill_slot(struct slot *slot, const struct tls_ticket_secret *secret)
{
	memset(slot, 0, sizeof(*slot));
	slot->secret.epoch = secret->epoch;
	memcpy(slot->secret.bytes, secret->bytes, sizeof(secret->bytes));
	digest_of(&slot->secret, sizeof(slot->secret), slot->check);
}

static bool is_whole(const struct slot *slot)
{
	uint8_t check[DIGEST_BYTES];

	digest_of(&slot->secret, sizeof(slot->secret), check);
	return memcmp(check, slot->check, sizeof(check)) == 0;
}

/* A secret to begin with; the second slot stays empty. */
static bool write_first_secret(int fd)
{
	struct tls_ticket_secret secret;
	struct slot slot;
	off_t place;
	bool written;

	tls_tickets_begin(&secret);
	fill_slot(&slot, &secret);
	place = (off_t)(offsetof(struct memory, slots) +
	    (size_t)(secret.epoch % SECRET_SLOTS) * sizeof(slot));
	written = pwrite(fd, &slot, sizeof(slot), place) ==
	    (ssize_t)sizeof(slot);
	mem_wipe(&slot, sizeof(slot));
	mem_wipe(&secret, sizeof(secret));
	return written;
}

bool counters_read_secret(const struct counters *counters,
    struct tls_ticket_secret *secret)
{
	bool found = false;

	for (unsigned i = 0; i < SECRET_SLOTS; i++) {
		struct slot slot = counters->memory->slots[i];

		if (is_whole(&slot) &&
		    (!found || slot.secret.epoch > secret->epoch)) {
			*secret = slot.secret;
			found = true;
		}
		mem_wipe(&slot, sizeof(slot));
	}
	return found;
}

void counters_write_secret(struct counters *counters,
    const struct tls_ticket_secret *secret)
{
	struct slot *slots = counters->memory->slots;
	unsigned own = (unsigned)(secret->epoch % SECRET_SLOTS);

	for (unsigned i = 0; i < SECRET_SLOTS; i++)
		if (slots[i].secret.epoch > secret->epoch)
			return;		/* another is ahead of us */
	fill_slot(&slots[own], secret);
	for (unsigned i = 0; i < SECRET_SLOTS; i++)
		if (i != own)
			mem_wipe(&slots[i], sizeof(slots[i]));
}

int counters_create(void)
{
	uint8_t key[KEY_BYTES];
	int fd = memfd_create("postern-counters", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING);

	random_bytes(key, sizeof(key));
	/* Who could cut it would end the others with SIGBUS. */
	if (fd != -1 && ftruncate(fd, sizeof(struct memory)) == 0 &&
	    pwrite(fd, key, sizeof(key), 0) == (ssize_t)sizeof(key) &&
	    write_first_secret(fd) &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW |
	    F_SEAL_SEAL) == 0)
		return fd;
	log_warn("counters", log_errno(errno));
	if (fd != -1)
		close(fd);
	return -1;
}

static bool has_right_size(int fd)
{
	struct stat facts;

	return fstat(fd, &facts) == 0 &&
	    facts.st_size == (off_t)sizeof(struct memory);
}

void counters_offer(struct counters *counters, unsigned sessions)
{
	atomic_store(&counters->offer->sessions, sessions + 1);
}

void counters_withdraw(struct counters *counters)
{
	atomic_store(&counters->offer->sessions, 0);
}

void counters_forget(int fd, unsigned worker)
{
	const uint32_t none = 0;
	off_t place = (off_t)(offsetof(struct memory, offers) +
	    worker * sizeof(struct offer) + offsetof(struct offer, sessions));

	if (worker < WORKERS_MAX &&
	    pwrite(fd, &none, sizeof(none), place) != (ssize_t)sizeof(none))
		log_warn("counters", log_errno(errno));
}

static void count_worker(struct memory *memory, unsigned worker)
{
	uint32_t seen = atomic_load(&memory->workers);

	while (seen <= worker && !atomic_compare_exchange_weak(
	    &memory->workers, &seen, worker + 1))
		;
}

/* The parts behind these have never been written to. */
static unsigned worker_count(const struct counters *counters)
{
	uint32_t count = atomic_load(&counters->memory->workers);

	return count < WORKERS_MAX ? count : WORKERS_MAX;
}

unsigned counters_least(const struct counters *counters)
{
	const struct offer *offer = counters->memory->offers;
	unsigned least = UINT_MAX;

	for (unsigned i = worker_count(counters); i > 0; i--, offer++) {
		/* Nothing: 0 - 1 is more than anybody has. */
		unsigned sessions = atomic_load_explicit(&offer->sessions,
		    memory_order_relaxed) - 1;

		if (offer != counters->offer && sessions < least)
			least = sessions;
	}
	return least;
}

struct counters *counters_new(int fd, unsigned worker)
{
	struct counters *counters;
	struct memory *memory = MAP_FAILED;

	if (worker < WORKERS_MAX && has_right_size(fd))
		memory = mmap(NULL, sizeof(*memory), PROT_READ | PROT_WRITE,
		    MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED) {
		log_warn("counters", log_number("worker", worker));
		return NULL;
	}
	counters = mem_alloc(sizeof(*counters));
	counters->memory = memory;
	counters->own = &memory->parts[worker];
	counters->offer = &memory->offers[worker];
	counters_withdraw(counters);
	count_worker(memory, worker);
	memcpy(counters->key, memory->key, sizeof(counters->key));
	memset(counters->own, 0, sizeof(*counters->own));
	return counters;
}

void counters_free(struct counters *counters)
{
	if (counters == NULL)
		return;
	munmap(counters->memory, sizeof(*counters->memory));
	mem_free(counters);
}

struct rate_memory *counters_rates(struct counters *counters, uint8_t *key)
{
	memcpy(key, counters->key, sizeof(counters->key));
	return &counters->memory->rates;
}

void counters_add(struct counters *counters, const void *client,
    size_t length)
{
	size_t slots[ROWS];

	find_slots(counters, client, length, slots);
	for (unsigned row = 0; row < ROWS; row++)
		atomic_fetch_add(&counters->own->cells[row][slots[row]], 1);
}

void counters_remove(struct counters *counters, const void *client,
    size_t length)
{
	size_t slots[ROWS];

	find_slots(counters, client, length, slots);
	for (unsigned row = 0; row < ROWS; row++)
		atomic_fetch_sub(&counters->own->cells[row][slots[row]], 1);
}

unsigned counters_sum(const struct counters *counters, const void *client,
    size_t length)
{
	unsigned sums[ROWS] = { 0 }, least;
	size_t slots[ROWS];

	find_slots(counters, client, length, slots);
	for (unsigned worker = 0; worker < worker_count(counters); worker++)
		for (unsigned row = 0; row < ROWS; row++)
			sums[row] += atomic_load(&counters->memory->
			    parts[worker].cells[row][slots[row]]);
	least = sums[0];
	for (unsigned row = 1; row < ROWS; row++)
		if (sums[row] < least)
			least = sums[row];
	return least;
}
