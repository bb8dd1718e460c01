/* SPDX-License-Identifier: ISC */
/*
 * pages.double, of a fixed size and written over and over:
 *
 *	batch, batch, ...	from the beginning, numbers one after the other;
 *				each a head of two pages and the pages
 *
 * What counts at a start are the batches from the beginning on, as long as
 * each is whole and has the next number: a batch that is not was never flushed,
 * and nothing of it is in its place. What lies behind is of earlier rounds,
 * whose places were flushed before this round began; so it is if the first of
 * a round is not whole. A page is taken from the last batch that has it, and
 * only when its place is not sound: what is sound there may be older, since
 * the log has what came later, or even newer, from a round that has gone.
 *
 * Tables are known by the identifier that Berkeley DB gives to each: a file
 * that was removed, or replaced, is another one, wherever the folder was copied
 * to. To start twice, or be killed at any point of a start, changes nothing.
 */
#include "queue/store_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"
#include "queue/store_pages.h"

enum {
	SIZE_MAX_BYTES = 256 << 20,	/* no file of ours is larger */
	FILL_BYTES = 64 << 10,
	/* One whole batch: without room for that nothing can be written. */
	LEAST_BYTES = (STORE_DOUBLE_HEAD + STORE_DOUBLE_PAGES *
	    STORE_PAGE_BYTES + FILL_BYTES - 1) / FILL_BYTES * FILL_BYTES
};

static const char file_name[] = "pages.double";
static const char magic[16] = "postern pages 1\n";

/* A table that pages may belong to. */
struct home {
	unsigned char	 id[STORE_TABLE_ID];
	char		*name;		/* owned */
	int		 fd;
	bool		 met;		/* in a batch */
};

struct mending {
	const char	*directory;
	unsigned char	*data;		/* the file; owned */
	uint32_t	 size;		/* in pages */
	uint32_t	*batches;	/* where each begins; owned */
	size_t		 batch_count;
	struct home	*homes;		/* owned */
	size_t		 home_count, mended;
};

_Static_assert(sizeof(struct store_double_head) <= STORE_DOUBLE_HEAD, "head");

/* Four sums at once, each over every fourth word: no change of one word is
 * without effect. */
static uint64_t sum_of(const void *data, size_t length)
{
	enum { LANES = 4 };
	const uint64_t prime = 0x100000001b3;
	uint64_t lanes[LANES] = { 1, 2, 3, 4 }, words[LANES];

	for (size_t at = 0; at < length; at += sizeof(words)) {
		memcpy(words, (const char *)data + at, sizeof(words));
		for (int i = 0; i < LANES; i++) {
			lanes[i] = (lanes[i] ^ words[i]) * prime;
			lanes[i] ^= lanes[i] >> 32;
		}
	}
	for (int i = 1; i < LANES; i++)
		lanes[0] = (lanes[0] ^ lanes[i]) * prime;
	return lanes[0];
}

static uint64_t head_sum(struct store_double_head *head)
{
	head->sum = 0;
	return head->sum = sum_of(head, STORE_DOUBLE_HEAD);
}

static unsigned char *page_of(struct store_double_head *head, size_t number)
{
	return (unsigned char *)head + STORE_DOUBLE_HEAD +
	    number * STORE_PAGE_BYTES;
}

/* --- writing --- */

bool store_double_has_room(const struct store_double *area, uint32_t pages)
{
	return STORE_DOUBLE_HEAD / STORE_PAGE_BYTES + pages <=
	    area->size - area->next;
}

void store_double_rewind(struct store_double *area)
{
	area->next = 0;
}

void store_double_put(struct store_double *area,
    struct store_double_head *head)
{
	size_t length = STORE_DOUBLE_HEAD + (size_t)head->pages *
	    STORE_PAGE_BYTES;

	memcpy(head->magic, magic, sizeof(magic));
	head->sequence = area->sequence++;
	for (uint32_t i = 0; i < head->pages; i++)
		head->entries[i].sum = sum_of(page_of(head, i),
		    STORE_PAGE_BYTES);
	head_sum(head);
	if (store_os_write_at(area->fd, head, length, (off_t)area->next *
	    STORE_PAGE_BYTES, STORE_FAULT_DOUBLE_WRITE) != 0)
		fatal("cannot write", log_text("what", file_name),
		    log_errno(errno));
	if (store_os_flush(area->fd, STORE_FAULT_DOUBLE_FLUSH) != 0)
		fatal("cannot flush", log_text("what", file_name),
		    log_errno(errno));
	area->next += (uint32_t)(length / STORE_PAGE_BYTES);
}

/* --- what a start finds --- */

/* The batch there, if all of it is. */
static struct store_double_head *batch_at(struct mending *mending,
    uint32_t page)
{
	uint32_t heads = STORE_DOUBLE_HEAD / STORE_PAGE_BYTES;
	struct store_double_head *head;
	uint64_t sum;

	if (page + heads > mending->size)
		return NULL;
	head = (void *)(mending->data + (size_t)page * STORE_PAGE_BYTES);
	sum = head->sum;
	if (memcmp(head->magic, magic, sizeof(magic)) != 0 ||
	    head_sum(head) != sum || head->pages > STORE_DOUBLE_PAGES ||
	    head->tables > STORE_DOUBLE_TABLES ||
	    page + heads + head->pages > mending->size)
		return NULL;
	for (uint32_t i = 0; i < head->pages; i++)
		if (head->entries[i].table >= head->tables ||
		    sum_of(page_of(head, i), STORE_PAGE_BYTES) !=
		    head->entries[i].sum)
			return NULL;
	return head;
}

static void batches_find(struct mending *mending)
{
	struct store_double_head *head;
	uint64_t sequence = 0;
	uint32_t page = 0;

	while ((head = batch_at(mending, page)) != NULL &&
	    (page == 0 || head->sequence == sequence + 1)) {
		sequence = head->sequence;
		mending->batches[mending->batch_count++] = page;
		page += STORE_DOUBLE_HEAD / STORE_PAGE_BYTES + head->pages;
	}
}

static void home_add(struct mending *mending, const char *name)
{
	struct home home = { .fd = -1 };
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", mending->directory, name) >=
	    PATH_MAX)
		return;
	home.fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (home.fd < 0 && (errno == EISDIR || errno == ELOOP))
		return;
	if (home.fd < 0)
		fatal("cannot open", log_text("path", path),
		    log_errno(errno));
	if (store_table_id(home.fd, home.id) != 0) {
		close(home.fd);
		return;
	}
	home.name = mem_dup_string(name);
	mending->homes = mem_resize(mending->homes, mending->home_count + 1,
	    sizeof(home));
	mending->homes[mending->home_count++] = home;
}

static void homes_find(struct mending *mending)
{
	DIR *stream = opendir(mending->directory);
	struct dirent *entry;

	while (stream != NULL && (entry = readdir(stream)) != NULL) {
		size_t length = strlen(entry->d_name);

		if (length > 3 && strcmp(entry->d_name + length - 3,
		    ".db") == 0)
			home_add(mending, entry->d_name);
	}
	if (stream != NULL)
		closedir(stream);
}

static struct home *home_of(struct mending *mending, const unsigned char *id)
{
	for (size_t i = 0; i < mending->home_count; i++)
		if (memcmp(mending->homes[i].id, id, STORE_TABLE_ID) == 0)
			return &mending->homes[i];
	return NULL;
}

/* Behind the end of the file there is nothing to be torn. */
static void page_mend(struct mending *mending, struct home *home,
    uint32_t number, const unsigned char *data)
{
	off_t offset = (off_t)number * STORE_PAGE_BYTES;
	unsigned char page[STORE_PAGE_BYTES];
	ssize_t n = pread(home->fd, page, sizeof(page), offset);

	if (n < 0)
		fatal("cannot read", log_text("name", home->name),
		    log_errno(errno));
	if (n == 0 || (n == sizeof(page) && store_page_is_sound(page, number)))
		return;
	if (store_os_write_at(home->fd, data, STORE_PAGE_BYTES, offset,
	    STORE_FAULT_PAGE_WRITE) != 0)
		fatal("cannot write", log_text("name", home->name),
		    log_errno(errno));
	log_info("a torn page was written again", log_text("name", home->name),
	    log_number("page", number));
	mending->mended++;
}

static void batch_mend(struct mending *mending, uint32_t page)
{
	struct store_double_head *head = (void *)(mending->data +
	    (size_t)page * STORE_PAGE_BYTES);

	for (uint32_t i = 0; i < head->pages; i++) {
		struct home *home = home_of(mending,
		    head->ids[head->entries[i].table]);

		if (home == NULL)
			continue;
		home->met = true;
		page_mend(mending, home, head->entries[i].number,
		    page_of(head, i));
	}
}

/* What a killed process has written may still be on its way to the disk. */
static void homes_close(struct mending *mending)
{
	for (size_t i = 0; i < mending->home_count; i++) {
		struct home *home = &mending->homes[i];

		if (home->met && fdatasync(home->fd) != 0)
			fatal("cannot flush", log_text("name", home->name),
			    log_errno(errno));
		close(home->fd);
		mem_free(home->name);
	}
	mem_free(mending->homes);
}

/* Last batch first: what it has mended is sound when the others come. */
static void mend(const char *directory, int fd, uint32_t size)
{
	struct mending mending = { .directory = directory, .size = size };

	mending.data = mem_alloc((size_t)size * STORE_PAGE_BYTES + 1);
	mending.batches = mem_alloc_array(size + 1, sizeof(uint32_t));
	if (pread(fd, mending.data, (size_t)size * STORE_PAGE_BYTES, 0) !=
	    (ssize_t)size * STORE_PAGE_BYTES)
		fatal("cannot read", log_text("what", file_name),
		    log_errno(errno));
	batches_find(&mending);
	if (mending.batch_count > 0)
		homes_find(&mending);
	for (size_t i = mending.batch_count; i > 0; i--)
		batch_mend(&mending, mending.batches[i - 1]);
	homes_close(&mending);
	if (mending.mended > 0)
		log_warn("pages were torn, and are whole again",
		    log_number("pages", (int64_t)mending.mended));
	mem_free(mending.data);
	mem_free(mending.batches);
}

/*
 * Zeros, on the disk: what is written over them later allocates nothing. What
 * the file has is not given back first: others may take it. On a full disk the
 * file is as long as there is room for, which is slower and no less safe; the
 * next start tries again. Returns its size, or -1.
 */
static int64_t fill(int fd, const char *path, uint64_t bytes)
{
	static const char zeros[FILL_BYTES];
	uint64_t at = 0;

	while (at < bytes && store_os_write_at(fd, zeros, sizeof(zeros),
	    (off_t)at, STORE_FAULT_DOUBLE_FILL) == 0)
		at += sizeof(zeros);
	if (at < bytes && ((errno != ENOSPC && errno != EDQUOT) ||
	    at < LEAST_BYTES))
		return -1;
	if (at < bytes)
		log_warn("the disk is full, a smaller file has to do",
		    log_text("path", path), log_number("bytes", (int64_t)at));
	return ftruncate(fd, (off_t)at) == 0 && fsync(fd) == 0 ?
	    (int64_t)at : -1;
}

int store_double_open(struct store_double *area, const char *directory,
    uint64_t bytes)
{
	char path[PATH_MAX];
	struct stat about;
	int64_t size;

	snprintf(path, sizeof(path), "%s/%s", directory, file_name);
	bytes = bytes >> 16 << 16;
	area->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (area->fd < 0 || fstat(area->fd, &about) != 0)
		goto fail;
	if (about.st_size <= SIZE_MAX_BYTES)
		mend(directory, area->fd, (uint32_t)(about.st_size /
		    STORE_PAGE_BYTES));
	size = about.st_size;
	if ((uint64_t)size != bytes) {
		size = fill(area->fd, path, bytes);
		if (size < 0)
			goto fail;
		store_os_sync_directory(directory);
	}
	area->size = (uint32_t)(size / STORE_PAGE_BYTES);
	area->next = 0;
	/* No number comes twice: a batch of earlier days never follows. */
	random_bytes(&area->sequence, sizeof(area->sequence));
	return 0;
fail:
	log_error("cannot make ready", log_text("path", path),
	    log_errno(errno));
	store_double_close(area);
	return -1;
}

void store_double_retire(struct store_double *area)
{
	static const char zeros[STORE_PAGE_BYTES];

	if (pwrite(area->fd, zeros, sizeof(zeros), 0) != sizeof(zeros))
		log_warn("cannot write", log_text("what", file_name),
		    log_errno(errno));
}

void store_double_close(struct store_double *area)
{
	if (area->fd >= 0)
		close(area->fd);
	area->fd = -1;
}
