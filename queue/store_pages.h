/* SPDX-License-Identifier: ISC */
/*
 * Pages on their way to the tables. A power cut may leave a page half old and
 * half new (disks write 512 bytes or 4096 whole, not more), and the log cannot
 * mend such a page. So each page goes to the disk twice: a batch of them to
 * the file pages.double, which is flushed, then each to its place; and what is
 * in pages.double stays there until the places were flushed. A start writes
 * again what it finds torn (store_double.c), before Berkeley DB reads anything.
 *
 * Between the hooks of store_os.c and the kernel; callers from any thread. A
 * thread of its own writes; who reads sees what was not written yet. There is
 * one for the process, as there is one store.
 */
#ifndef POSTERN_QUEUE_STORE_PAGES_H
#define POSTERN_QUEUE_STORE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { STORE_PAGE_BYTES = 4096 };	/* what tables are made of */

/* --- store_page.c: one page in memory --- */

/* Its checksum is right, or it is blank, as one that was never written. The
 * checksum in it is set right. */
bool	 store_page_is_sound(unsigned char *page, uint32_t number);
bool	 store_page_is_blank(const unsigned char *page);
/* Makes an unused page of it. */
void	 store_page_empty(unsigned char *page, uint32_t number);

/* --- store_double.c: the file --- */

enum {
	STORE_DOUBLE_PAGES = 256,	/* in a batch, at most */
	STORE_DOUBLE_TABLES = 64,	/* that they belong to */
	STORE_DOUBLE_HEAD = 2 * STORE_PAGE_BYTES,
	STORE_TABLE_ID = 20		/* Berkeley DB's, in page 0 */
};

/* In the byte order of the machine, as the tables are. */
struct store_double_head {
	char		 magic[16];
	uint64_t	 sequence;
	uint32_t	 pages, tables;
	uint64_t	 sum;		/* of the head, where this is 0 */
	unsigned char	 ids[STORE_DOUBLE_TABLES][STORE_TABLE_ID];
	struct {
		uint32_t number, table;
		uint64_t sum;
	}		 entries[STORE_DOUBLE_PAGES];
};

struct store_double {
	int		 fd;		/* -1: not open */
	uint32_t	 size, next;	/* in pages: of the file; free from here */
	uint64_t	 sequence;
};

/* Mends what is torn in the tables of the directory and flushes them, then
 * makes the file ready for new batches. -1: logged. */
int	 store_double_open(struct store_double *area, const char *directory,
	    uint64_t bytes);
/* All is flushed: what is damaged from now on was not torn. */
void	 store_double_retire(struct store_double *area);
void	 store_double_close(struct store_double *area);
/* Whether a batch of so many pages fits behind the others. */
bool	 store_double_has_room(const struct store_double *area,
	    uint32_t pages);
/* The identifier of a table; -1: it has no first page yet. */
int	 store_table_id(int fd, unsigned char *id);
/* From now on batches are written over those that were there: the places of
 * all of them have been flushed. */
void	 store_double_rewind(struct store_double *area);
/* Head and pages lie in one piece; returns when they are on the disk. */
void	 store_double_put(struct store_double *area,
	    struct store_double_head *head);

/* --- store_pages.c --- */

/* Bytes: of pages.double. -1: logged. */
int	 store_pages_open(const char *directory, uint64_t bytes);
void	 store_pages_close(void);

/* A file was opened: if it is a table of the directory its pages come here.
 * -1: errno. */
int	 store_pages_attach(const char *path, int fd);
void	 store_pages_detach(int fd);
void	 store_pages_seek(int fd, off_t offset);
/* The file goes, with what was to be written to it. */
void	 store_pages_forget(const char *path);

/* length: taken, or written. -1: errno; ENOSPC: it may be tried again. */
ssize_t	 store_pages_write(int fd, const void *data, size_t length);
/* As pread. */
ssize_t	 store_pages_read(int fd, void *data, size_t length, off_t offset);
/* All that was taken is in its place, and this file flushed. As fsync, but
 * ENOSPC may be tried again. */
int	 store_pages_flush(int fd);
/* The same without the flush of the file. */
int	 store_pages_drain(int fd);
/* Whether the descriptor is that of a table. */
bool	 store_pages_has(int fd);
/* After a flush that found no room, which Berkeley DB may take for done: -1
 * as long as pages are not in their places. */
int	 store_pages_settle(void);
/* All that was taken is in its place, and flushed. -1: errno. */
int	 store_pages_finish(void);

#endif
