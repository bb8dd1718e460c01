/* SPDX-License-Identifier: ISC */
/*
 * The log of file system operations that record.c writes and
 * tests/power/recording.py reads, and the lock that puts the operations of all
 * processes in one order. The log is POSTERN_RECORD, its lock and counter are
 * in a page shared by all, POSTERN_RECORD.control; neither lies in the scope.
 *
 * A record is a struct record_head and `length` bytes. Numbers are the
 * machine's own. first and second, by kind:
 *
 *	CREATE, MKDIR	inode, owner << 32 | mode	path
 *	SYMLINK		inode				path NUL target
 *	LINK, RENAME	inode (0: not known)		from NUL to
 *	EXCHANGE	-				one NUL other
 *	UNLINK, RMDIR	-				path
 *	WRITE		inode, offset			what was written
 *	TRUNCATE	inode, size
 *	ALLOCATE	inode, end: the file is as long as that at least
 *	MODE		inode, owner << 32 | mode: chmod
 *	FLUSH		inode, sequence before which all of it was flushed;
 *			flags & RECORD_DATA_ONLY: fdatasync
 *	FLUSH_ALL	-, the same: syncfs
 *	MAP		inode: writable and shared, changes are not seen
 *	MARK		what, number: the load client's and the sink's
 *	LOST		something was done that this library cannot record
 */
#ifndef POSTERN_TESTS_PRELOAD_RECORD_LOG_H
#define POSTERN_TESTS_PRELOAD_RECORD_LOG_H

#include <stddef.h>
#include <stdint.h>

enum record_kind { RECORD_CREATE = 1, RECORD_MKDIR, RECORD_SYMLINK,
    RECORD_LINK, RECORD_RENAME, RECORD_EXCHANGE, RECORD_UNLINK, RECORD_RMDIR,
    RECORD_WRITE, RECORD_TRUNCATE, RECORD_ALLOCATE, RECORD_FLUSH,
    RECORD_FLUSH_ALL, RECORD_MAP, RECORD_MODE, RECORD_MARK, RECORD_LOST };

enum { RECORD_MAGIC = 0x50574331, RECORD_DATA_ONLY = 1 };

struct record_head {
	uint32_t	 magic;
	uint8_t		 kind, flags;
	uint16_t	 reserved;
	uint32_t	 process;
	uint32_t	 length;
	uint64_t	 sequence;	/* 1, 2, 3... */
	uint64_t	 first, second;
};

struct record {
	enum record_kind kind;
	unsigned	 flags;
	uint64_t	 first, second;
	const void	*data;		/* length bytes; then more */
	size_t		 length;
	const void	*more;
	size_t		 more_length;
};

/* Whether there is a log; it is opened in the first call. */
int	 record_log_is_open(void);
void	 record_lock(void);
void	 record_unlock(void);
/* While it is locked. */
void	 record_add(const struct record *record);
/* All records there are now have a sequence before this. */
uint64_t record_now(void);

/* For the harness, by name: begins a log at path (0, or -1 with errno), and
 * adds a MARK to the one in POSTERN_RECORD; returns its sequence, 0: none. */
int	 postern_record_begin(const char *path);
uint64_t postern_record_mark(uint64_t what, uint64_t number);

#endif
