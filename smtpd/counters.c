/* SPDX-License-Identifier: ISC */
/*
 * The shared counters: see counters.h. Other processes write to the memory at
 * any time, so nothing in it is trusted to be an index or a size.
 */
#include "smtpd/counters.h"

#include <errno.h>
#include <fcntl.h>
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

enum { WORKERS_MAX = 64, ROWS = 2, SLOTS = 1 << 15, KEY_BYTES = 16 };

struct part {
	_Atomic uint16_t	 cells[ROWS][SLOTS];
};

struct memory {
	uint8_t			 key[KEY_BYTES];	/* of the hash */
	struct part		 parts[WORKERS_MAX];
};

struct counters {
	struct memory		*memory;	/* mapped */
	struct part		*own;		/* in memory */
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

int counters_create(void)
{
	uint8_t key[KEY_BYTES];
	int fd = memfd_create("postern-counters", MFD_CLOEXEC |
	    MFD_ALLOW_SEALING);

	random_bytes(key, sizeof(key));
	/* Who could cut it would end the others with SIGBUS. */
	if (fd != -1 && ftruncate(fd, sizeof(struct memory)) == 0 &&
	    pwrite(fd, key, sizeof(key), 0) == (ssize_t)sizeof(key) &&
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
	for (unsigned worker = 0; worker < WORKERS_MAX; worker++)
		for (unsigned row = 0; row < ROWS; row++)
			sums[row] += atomic_load(&counters->memory->
			    parts[worker].cells[row][slots[row]]);
	least = sums[0];
	for (unsigned row = 1; row < ROWS; row++)
		if (sums[row] < least)
			least = sums[row];
	return least;
}
