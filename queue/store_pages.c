/* SPDX-License-Identifier: ISC */
/*
 * See store_pages.h. There are two batches: one is filled by whoever writes,
 * the other is on its way to the disk. A page that comes again before its batch
 * has left replaces what is there. The thread takes a batch when it is full or
 * when somebody waits for a flush. A page that finds no room in its table stays
 * in its batch, to be tried again when the next flush is wanted; meanwhile the
 * other batch fills, and then writing is refused.
 *
 * A table has a descriptor of ours from its first page on, until what was
 * written is flushed: Berkeley DB opens and closes as it likes.
 */
#include "queue/store_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "queue/store_pages.h"

enum { DESCRIPTORS = 4096, SLOTS = 1024, TABLE_ID_AT = 52 };

struct table {
	dev_t		 device;
	ino_t		 inode;
	unsigned char	 id[STORE_TABLE_ID];
	bool		 is_known;	/* by its identifier */
	bool		 is_gone;	/* removed: nothing of it matters */
	int		 fd;		/* ours; -1: none */
	unsigned	 opened;	/* descriptors of Berkeley DB */
	unsigned	 pending;	/* pages in batches */
	uint64_t	 written, flushed;	/* runs put into its place */
	struct table	*next;
};

struct batch {
	struct store_double_head *head;	/* and its pages behind it; owned */
	struct table	*tables[STORE_DOUBLE_TABLES];
	uint16_t	 slots[SLOTS];	/* number of an entry + 1, by hash */
	bool		 is_double;	/* it is in pages.double */
	uint32_t	 placed;	/* pages that are in their places */
};

static struct {
	bool		 open;
	char		 directory[PATH_MAX];
	struct store_double area;
	pthread_t	 thread;

	/* under the lock */
	pthread_mutex_t	 lock;
	pthread_cond_t	 wake;		/* the thread */
	pthread_cond_t	 tried;		/* it has tried a batch */
	struct table	*tables;	/* owned */
	struct batch	 batches[2];
	struct batch	*filling, *leaving;
	uint64_t	 number;	/* of the batch being filled */
	uint64_t	 placed;	/* of the last one that has left */
	uint64_t	 tries;
	int		 error;		/* of the last try; 0: it went well */
	bool		 wanted, stopping;
	bool		 unsure;	/* a flush found no room */

	/* a descriptor is used by one thread at a time, as Berkeley DB does */
	_Atomic(struct table *) by_fd[DESCRIPTORS];
	off_t		 offsets[DESCRIPTORS];
} pages = { .area = { .fd = -1 }, .lock = PTHREAD_MUTEX_INITIALIZER,
    .wake = PTHREAD_COND_INITIALIZER, .tried = PTHREAD_COND_INITIALIZER };

static struct table *table_of(int fd)
{
	return fd >= 0 && fd < DESCRIPTORS ? atomic_load(&pages.by_fd[fd]) :
	    NULL;
}

bool store_pages_has(int fd)
{
	return table_of(fd) != NULL;
}

/* --- tables; all under the lock --- */

/* 0, or -1: it has no first page yet. */
int store_table_id(int fd, unsigned char *id)
{
	static const unsigned char none[STORE_TABLE_ID];

	return pread(fd, id, STORE_TABLE_ID, TABLE_ID_AT) == STORE_TABLE_ID &&
	    memcmp(id, none, STORE_TABLE_ID) != 0 ? 0 : -1;
}

static struct table *table_find(const struct stat *about)
{
	struct table *table = pages.tables;

	while (table != NULL && (table->is_gone ||
	    table->device != about->st_dev || table->inode != about->st_ino))
		table = table->next;
	return table;
}

static struct table *table_new(const struct stat *about, int fd)
{
	struct table *table = mem_alloc(sizeof(*table));

	table->device = about->st_dev;
	table->inode = about->st_ino;
	table->is_known = store_table_id(fd, table->id) == 0;
	table->fd = -1;
	table->next = pages.tables;
	pages.tables = table;
	return table;
}

/* Goes when nobody needs it any more. */
static void table_settle(struct table *table)
{
	struct table **at = &pages.tables;

	if (table->pending > 0 || (!table->is_gone &&
	    table->flushed < table->written))
		return;
	if (table->fd >= 0 && (table->opened == 0 || table->is_gone)) {
		close(table->fd);
		table->fd = -1;
	}
	if (table->opened > 0)
		return;
	while (*at != table)
		at = &(*at)->next;
	*at = table->next;
	mem_free(table);
}

/* --- batches; all under the lock --- */

static unsigned char *page_of(struct batch *batch, uint32_t place)
{
	return (unsigned char *)batch->head + STORE_DOUBLE_HEAD +
	    (size_t)place * STORE_PAGE_BYTES;
}

/* Where the page is or would go. */
static uint16_t *slot_of(struct batch *batch, const struct table *table,
    uint32_t number)
{
	uint64_t hash = ((uintptr_t)table >> 4) * 0x9e3779b97f4a7c15 + number;
	size_t at = (hash * 0x9e3779b97f4a7c15) >> 54;

	for (;; at = (at + 1) % SLOTS) {
		uint16_t *slot = &batch->slots[at];
		uint32_t place = (uint32_t)*slot - 1;

		if (*slot == 0 || (batch->head->entries[place].number ==
		    number && batch->tables[batch->head->entries[place].table]
		    == table))
			return slot;
	}
}

static unsigned char *batch_find(struct batch *batch, const struct table *table,
    uint32_t number)
{
	uint16_t *slot = slot_of(batch, table, number);

	return *slot != 0 ? page_of(batch, (uint32_t)*slot - 1) : NULL;
}

/* What is newest, or null: it is in its place. */
static unsigned char *pending_find(const struct table *table, uint32_t number)
{
	unsigned char *page;

	if (table->pending == 0)
		return NULL;
	page = batch_find(pages.filling, table, number);
	return page != NULL ? page : batch_find(pages.leaving, table, number);
}

/* Index of the table in the batch, or -1: it has no room for one more. */
static int batch_table(struct batch *batch, struct table *table)
{
	struct store_double_head *head = batch->head;

	for (int i = (int)head->tables - 1; i >= 0; i--)
		if (batch->tables[i] == table)
			return i;
	if (head->tables == STORE_DOUBLE_TABLES)
		return -1;
	memcpy(head->ids[head->tables], table->id, STORE_TABLE_ID);
	batch->tables[head->tables] = table;
	return (int)head->tables++;
}

static bool batch_add(struct batch *batch, struct table *table, uint32_t number,
    const void *data)
{
	struct store_double_head *head = batch->head;
	uint16_t *slot = slot_of(batch, table, number);
	int index;

	if (*slot != 0) {
		memcpy(page_of(batch, (uint32_t)*slot - 1), data,
		    STORE_PAGE_BYTES);
		return true;
	}
	if (head->pages == STORE_DOUBLE_PAGES ||
	    (index = batch_table(batch, table)) < 0)
		return false;
	head->entries[head->pages].number = number;
	head->entries[head->pages].table = (uint32_t)index;
	memcpy(page_of(batch, head->pages), data, STORE_PAGE_BYTES);
	*slot = (uint16_t)++head->pages;
	table->pending++;
	return true;
}

static void batch_clear(struct batch *batch)
{
	struct store_double_head *head = batch->head;

	for (uint32_t i = 0; i < head->pages; i++)
		batch->tables[head->entries[i].table]->pending--;
	for (uint32_t i = 0; i < head->tables; i++)
		table_settle(batch->tables[i]);
	memset(batch->slots, 0, sizeof(batch->slots));
	memset(head, 0, STORE_DOUBLE_HEAD);
	batch->is_double = false;
	batch->placed = 0;
}

/* --- the thread --- */

/* Flushes what was put into places since each was flushed last. Under the
 * lock, which is not held meanwhile. */
static void tables_flush(void)
{
	struct table *table = pages.tables, *next;

	for (; table != NULL; table = next) {
		uint64_t written = table->written;

		next = table->next;
		if (table->is_gone || table->flushed == written)
			continue;
		table->pending++;	/* stays */
		pthread_mutex_unlock(&pages.lock);
		if (store_os_flush(table->fd, STORE_FAULT_FSYNC) != 0)
			fatal("cannot flush", log_errno(errno));
		pthread_mutex_lock(&pages.lock);
		table->pending--;
		next = table->next;
		if (table->flushed < written)
			table->flushed = written;
		table_settle(table);
	}
}

static bool tables_are_flushed(void)
{
	for (struct table *table = pages.tables; table != NULL;
	    table = table->next)
		if (!table->is_gone && table->flushed < table->written)
			return false;
	return true;
}

/* Under the lock, but not while it writes. */
static void batch_double(struct batch *batch)
{
	/* Others may write to a place meanwhile. */
	if (!store_double_has_room(&pages.area, batch->head->pages))
		do
			tables_flush();
		while (!tables_are_flushed());
	if (tables_are_flushed())
		store_double_rewind(&pages.area);
	pthread_mutex_unlock(&pages.lock);
	store_double_put(&pages.area, batch->head);
	pthread_mutex_lock(&pages.lock);
	batch->is_double = true;
}

/* Neighbours in the batch that are neighbours in a table. */
static uint32_t run_length(const struct store_double_head *head, uint32_t from)
{
	uint32_t length = 1;

	while (from + length < head->pages &&
	    head->entries[from + length].table == head->entries[from].table &&
	    head->entries[from + length].number ==
	    head->entries[from].number + length)
		length++;
	return length;
}

/* 0 or ENOSPC: what could not be placed stays. */
static int batch_place(struct batch *batch)
{
	struct store_double_head *head = batch->head;

	while (batch->placed < head->pages) {
		uint32_t run = run_length(head, batch->placed);
		struct table *table = batch->tables[
		    head->entries[batch->placed].table];
		int result = 0;

		if (!table->is_gone) {
			pthread_mutex_unlock(&pages.lock);
			result = store_os_write_at(table->fd,
			    page_of(batch, batch->placed),
			    (size_t)run * STORE_PAGE_BYTES,
			    (off_t)head->entries[batch->placed].number *
			    STORE_PAGE_BYTES, STORE_FAULT_PAGE_WRITE);
			if (result != 0 && errno != ENOSPC && errno != EDQUOT)
				fatal("cannot write", log_text("what",
				    "pages"), log_errno(errno));
			pthread_mutex_lock(&pages.lock);
		}
		if (result != 0)
			return ENOSPC;
		table->written++;
		batch->placed += run;
	}
	return 0;
}

static bool has_work(void)
{
	if (pages.leaving->head->pages > 0)
		return pages.wanted;
	return pages.filling->head->pages == STORE_DOUBLE_PAGES ||
	    (pages.wanted && pages.filling->head->pages > 0);
}

static void try_batch(void)
{
	struct batch *batch = pages.leaving;

	pages.wanted = false;
	if (batch->head->pages == 0) {
		pages.leaving = pages.filling;
		pages.filling = batch;
		batch = pages.leaving;
		pages.number++;
		pthread_cond_broadcast(&pages.tried);
	}
	if (!batch->is_double)
		batch_double(batch);
	pages.error = batch_place(batch);
	if (pages.error == 0) {
		batch_clear(batch);
		pages.placed++;
	}
	pages.tries++;
	pthread_cond_broadcast(&pages.tried);
}

static void *thread_main(void *unused)
{
	pthread_mutex_lock(&pages.lock);
	while (!pages.stopping)
		if (has_work())
			try_batch();
		else
			pthread_cond_wait(&pages.wake, &pages.lock);
	pthread_mutex_unlock(&pages.lock);
	return unused;
}

/* Waits, under the lock, until the batch of that number has left: 0 or an
 * errno. */
static int wait_for(uint64_t number)
{
	while (pages.placed < number) {
		uint64_t tries = pages.tries;

		pages.wanted = true;
		pthread_cond_signal(&pages.wake);
		while (pages.tries == tries)
			pthread_cond_wait(&pages.tried, &pages.lock);
		if (pages.error != 0)
			return pages.error;
	}
	return 0;
}

/* All that has come until now. */
static int wait_for_all(void)
{
	return wait_for(pages.filling->head->pages > 0 ? pages.number :
	    pages.number - 1);
}

/* --- from the hooks --- */

/* The name in the directory, or null. */
static const char *name_in(const char *path)
{
	size_t length = strlen(pages.directory), name;

	if (!pages.open || strncmp(path, pages.directory, length) != 0 ||
	    path[length] != '/')
		return NULL;
	path += length + 1;
	name = strlen(path);
	return name > 3 && strcmp(path + name - 3, ".db") == 0 &&
	    strchr(path, '/') == NULL ? path : NULL;
}

/* The size of the file has to say what the table has. */
int store_pages_attach(const char *path, int fd)
{
	struct table *table;
	struct stat about;
	int error = 0;

	if (name_in(path) == NULL)
		return 0;
	if (fd >= DESCRIPTORS)
		error = EMFILE;
	else if (fstat(fd, &about) != 0)
		error = errno;
	if (error == 0) {
		pthread_mutex_lock(&pages.lock);
		table = table_find(&about);
		if (table == NULL)
			table = table_new(&about, fd);
		table->opened++;
		atomic_store(&pages.by_fd[fd], table);
		if (table->pending > 0)
			error = wait_for_all();
		pthread_mutex_unlock(&pages.lock);
		pages.offsets[fd] = 0;
	}
	if (error == 0)
		return 0;
	store_pages_detach(fd);
	errno = error;
	return -1;
}

void store_pages_detach(int fd)
{
	struct table *table = table_of(fd);

	if (table == NULL)
		return;
	pthread_mutex_lock(&pages.lock);
	atomic_store(&pages.by_fd[fd], NULL);
	table->opened--;
	table_settle(table);
	pthread_mutex_unlock(&pages.lock);
}

void store_pages_seek(int fd, off_t offset)
{
	if (table_of(fd) != NULL)
		pages.offsets[fd] = offset;
}

/* Room that a descriptor of ours would keep is given back at once. */
void store_pages_forget(const char *path)
{
	struct table *table;
	struct stat about;

	if (!pages.open || lstat(path, &about) != 0)
		return;
	pthread_mutex_lock(&pages.lock);
	table = table_find(&about);
	if (table != NULL) {
		table->is_gone = true;
		pages.wanted = pages.wanted || table->pending > 0;
		pthread_cond_signal(&pages.wake);
		table_settle(table);
	}
	pthread_mutex_unlock(&pages.lock);
}

/* A whole page of a table whose first page is there or comes now. */
static bool is_for_batch(struct table *table, const void *data, size_t length,
    off_t offset)
{
	static const unsigned char none[STORE_TABLE_ID];
	const unsigned char *id = (const unsigned char *)data + TABLE_ID_AT;

	if (length != STORE_PAGE_BYTES || offset % STORE_PAGE_BYTES != 0)
		return false;
	if (!table->is_known && offset == 0 &&
	    memcmp(id, none, sizeof(none)) != 0) {
		memcpy(table->id, id, STORE_TABLE_ID);
		table->is_known = true;
	}
	return table->is_known;
}

/* Under the lock. 0 or an errno. */
static int page_add(struct table *table, int fd, uint32_t number,
    const void *data)
{
	if (table->fd < 0 && (table->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return errno;
	while (!batch_add(pages.filling, table, number, data)) {
		uint64_t tries = pages.tries, current = pages.number;

		pages.wanted = true;
		pthread_cond_signal(&pages.wake);
		while (pages.tries == tries && pages.number == current)
			pthread_cond_wait(&pages.tried, &pages.lock);
		if (pages.number == current && pages.error != 0)
			return pages.error;
	}
	if (pages.filling->head->pages == STORE_DOUBLE_PAGES)
		pthread_cond_signal(&pages.wake);
	return 0;
}

/* What is not a page goes to its place behind those that have come. */
static int write_through(struct table *table, int fd, const void *data,
    size_t length)
{
	int error = table->pending > 0 ? wait_for_all() : 0;

	if (error != 0)
		return error;
	if (table->fd < 0 && (table->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0)
		return errno;
	if (store_os_write_at(fd, data, length, pages.offsets[fd],
	    STORE_FAULT_THROUGH_WRITE) != 0)
		return errno;
	table->written++;
	return 0;
}

ssize_t store_pages_write(int fd, const void *data, size_t length)
{
	struct table *table = table_of(fd);
	off_t offset = pages.offsets[fd];
	int error;

	pthread_mutex_lock(&pages.lock);
	error = is_for_batch(table, data, length, offset) ?
	    page_add(table, fd, (uint32_t)(offset / STORE_PAGE_BYTES), data) :
	    write_through(table, fd, data, length);
	pthread_mutex_unlock(&pages.lock);
	if (error != 0) {
		errno = error;
		return -1;
	}
	pages.offsets[fd] += (off_t)length;
	return (ssize_t)length;
}

/* Several pages, some of which may not be in their places yet. Under the
 * lock, so that none gets there meanwhile. */
static ssize_t read_several(struct table *table, int fd, char *data,
    size_t length, off_t offset)
{
	ssize_t got = pread(fd, data, length, offset);

	if (got < 0 || offset % STORE_PAGE_BYTES != 0)
		return got;
	for (size_t at = 0; at + STORE_PAGE_BYTES <= length;
	    at += STORE_PAGE_BYTES) {
		unsigned char *page = pending_find(table,
		    (uint32_t)((offset + (off_t)at) / STORE_PAGE_BYTES));

		if (page == NULL)
			continue;
		if ((size_t)got < at)
			memset(data + got, 0, at - (size_t)got);
		memcpy(data + at, page, STORE_PAGE_BYTES);
		if ((size_t)got < at + STORE_PAGE_BYTES)
			got = (ssize_t)(at + STORE_PAGE_BYTES);
	}
	return got;
}

/* What is not found here is in its place already: nobody writes a page while
 * another reads it. */
ssize_t store_pages_read(int fd, void *data, size_t length, off_t offset)
{
	struct table *table = table_of(fd);
	unsigned char *page = NULL;
	ssize_t got = -1;
	bool several = false;

	pthread_mutex_lock(&pages.lock);
	if (table->pending > 0 && length == STORE_PAGE_BYTES &&
	    offset % STORE_PAGE_BYTES == 0) {
		page = pending_find(table,
		    (uint32_t)(offset / STORE_PAGE_BYTES));
		if (page != NULL)
			memcpy(data, page, STORE_PAGE_BYTES);
	} else if (table->pending > 0) {
		several = true;
		got = read_several(table, fd, data, length, offset);
	}
	pthread_mutex_unlock(&pages.lock);
	if (several)
		return got;
	return page != NULL ? STORE_PAGE_BYTES :
	    pread(fd, data, length, offset);
}

int store_pages_flush(int fd)
{
	struct table *table = table_of(fd);
	uint64_t written;
	int error;

	pthread_mutex_lock(&pages.lock);
	error = wait_for_all();
	pages.unsure = pages.unsure || error != 0;
	written = table->written;
	pthread_mutex_unlock(&pages.lock);
	if (error != 0) {
		errno = error;
		return -1;
	}
	if (store_os_flush(fd, STORE_FAULT_FSYNC) != 0)
		fatal("cannot flush", log_errno(errno));
	pthread_mutex_lock(&pages.lock);
	if (table->flushed < written)
		table->flushed = written;
	table_settle(table);
	pthread_mutex_unlock(&pages.lock);
	return 0;
}

/* Under the lock. 0 or an errno. */
static int finish(void)
{
	int error = wait_for_all();

	if (error == 0)
		tables_flush();
	pages.unsure = error != 0;
	return error;
}

int store_pages_settle(void)
{
	int error = 0;

	pthread_mutex_lock(&pages.lock);
	if (pages.open && pages.unsure)
		error = finish();
	pthread_mutex_unlock(&pages.lock);
	return error == 0 ? 0 : -1;
}

int store_pages_finish(void)
{
	int error;

	pthread_mutex_lock(&pages.lock);
	error = pages.open ? finish() : 0;
	pthread_mutex_unlock(&pages.lock);
	errno = error;
	return error == 0 ? 0 : -1;
}

int store_pages_drain(int fd)
{
	struct table *table = table_of(fd);
	int error = 0;

	pthread_mutex_lock(&pages.lock);
	if (table != NULL && table->pending > 0)
		error = wait_for_all();
	pthread_mutex_unlock(&pages.lock);
	errno = error;
	return error == 0 ? 0 : -1;
}

/* --- opening and closing --- */

int store_pages_open(const char *directory, uint64_t bytes)
{
	int error;

	if (store_double_open(&pages.area, directory, bytes) != 0)
		return -1;
	snprintf(pages.directory, sizeof(pages.directory), "%s", directory);
	for (int i = 0; i < 2; i++)
		pages.batches[i].head = mem_alloc(STORE_DOUBLE_HEAD +
		    STORE_DOUBLE_PAGES * STORE_PAGE_BYTES);
	pages.filling = &pages.batches[0];
	pages.leaving = &pages.batches[1];
	pages.number = 1;
	pages.placed = 0;
	pages.error = 0;
	pages.wanted = pages.stopping = pages.unsure = false;
	error = pthread_create(&pages.thread, NULL, thread_main, NULL);
	if (error != 0)
		fatal("cannot start a thread", log_errno(error));
	pages.open = true;
	return 0;
}

/* What has found no room until now is in the log. */
void store_pages_close(void)
{
	if (!pages.open)
		return;
	pthread_mutex_lock(&pages.lock);
	wait_for_all();
	pages.stopping = true;
	pthread_cond_signal(&pages.wake);
	pthread_mutex_unlock(&pages.lock);
	pthread_join(pages.thread, NULL);
	pages.open = false;
	if (pages.error == 0 && tables_are_flushed())
		store_double_retire(&pages.area);
	for (struct table *table = pages.tables, *next; table != NULL;
	    table = next) {
		next = table->next;
		if (table->fd >= 0)
			close(table->fd);
		mem_free(table);
	}
	pages.tables = NULL;
	for (int i = 0; i < 2; i++) {
		mem_free(pages.batches[i].head);
		pages.batches[i] = (struct batch){ 0 };
	}
	store_double_close(&pages.area);
}
