/* SPDX-License-Identifier: ISC */
/*
 * Bytes are on the heap until they would be more than SPOOL_HEAP_MAX, then all
 * of them are in the file. What a spool has is counted byte by byte.
 */
#include "smtpd/spool.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

struct spool {
	struct buf	 heap;		/* empty once there is a file */
	int		 fd;		/* owned; -1: none */
	uint64_t	 length;
	uint64_t	 ceiling;
};

enum { MOVE_BYTES = 16 << 10 };

static uint64_t total;

struct spool *spool_new(uint64_t ceiling)
{
	struct spool *spool = mem_alloc(sizeof(*spool));

	buf_init(&spool->heap, SPOOL_HEAP_MAX);
	spool->fd = -1;
	spool->ceiling = ceiling;
	return spool;
}

void spool_free(struct spool *spool)
{
	if (spool == NULL)
		return;
	total -= spool->length;
	buf_release(&spool->heap);
	if (spool->fd >= 0)
		close(spool->fd);
	mem_free(spool);
}

uint64_t spool_length(const struct spool *spool)
{
	return spool->length;
}

uint64_t spool_total(void)
{
	return total;
}

static int refuse(const struct spool *spool, const char *reason)
{
	log_warn("spool", log_text("problem", reason),
	    log_number("bytes", (int64_t)total),
	    log_number("ceiling", (int64_t)spool->ceiling));
	return -1;
}

/* 0, or -1 with errno. */
static int write_at(int fd, const char *data, size_t length, uint64_t offset)
{
	while (length > 0) {
		ssize_t written = pwrite(fd, data, length, (off_t)offset);

		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return -1;
		data += written;
		length -= (size_t)written;
		offset += (uint64_t)written;
	}
	return 0;
}

/* The file is there, and has what the heap had. */
static int move_to_file(struct spool *spool)
{
	int fd = memfd_create("message", MFD_CLOEXEC);

	if (fd < 0)
		return -1;
	if (write_at(fd, buf_data(&spool->heap), buf_length(&spool->heap),
	    0) < 0) {
		close(fd);
		return -1;
	}
	buf_release(&spool->heap);
	spool->fd = fd;
	return 0;
}

int spool_add(struct spool *spool, const char *data, size_t length)
{
	if (length > spool->ceiling || total > spool->ceiling - length)
		return refuse(spool, "filter-memory is used up");
	if (spool->fd >= 0 || buf_add(&spool->heap, data, length) < 0) {
		if (spool->fd < 0 && move_to_file(spool) < 0)
			return refuse(spool, strerror(errno));
		if (write_at(spool->fd, data, length, spool->length) < 0)
			return refuse(spool, strerror(errno));
	}
	spool->length += length;
	total += length;
	return 0;
}

/* What was written to memory can be read. */
static size_t read_file(const struct spool *spool, uint64_t offset, char *out,
    size_t size)
{
	ssize_t got;

	do
		got = pread(spool->fd, out, size, (off_t)offset);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		fatal("spool", log_text("problem", got < 0 ?
		    strerror(errno) : "shorter than it was"));
	return (size_t)got;
}

size_t spool_read(const struct spool *spool, uint64_t offset, char *out,
    size_t size)
{
	if (offset >= spool->length)
		return 0;
	if (size > spool->length - offset)
		size = (size_t)(spool->length - offset);
	if (spool->fd >= 0)
		return read_file(spool, offset, out, size);
	memcpy(out, buf_data(&spool->heap) + offset, size);
	return size;
}

/* Over bytes that are there. */
static void overwrite(struct spool *spool, uint64_t offset, const char *data,
    size_t length)
{
	if (spool->fd < 0)
		buf_patch(&spool->heap, (size_t)offset, data, length);
	else if (write_at(spool->fd, data, length, offset) < 0)
		fatal("spool", log_text("problem", strerror(errno)));
}

void spool_drop(struct spool *spool, uint64_t offset, uint64_t length)
{
	char bytes[MOVE_BYTES];
	size_t got;

	if (offset > spool->length || length > spool->length - offset)
		bug("spool-drop");
	if (length == 0)
		return;
	while ((got = spool_read(spool, offset + length, bytes,
	    sizeof(bytes))) > 0) {
		overwrite(spool, offset, bytes, got);
		offset += got;
	}
	if (spool->fd < 0)
		buf_truncate(&spool->heap, (size_t)offset);
	else if (ftruncate(spool->fd, (off_t)offset) < 0)
		fatal("spool", log_text("problem", strerror(errno)));
	spool->length -= length;
	total -= length;
}
