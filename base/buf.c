/* SPDX-License-Identifier: ISC */
/*
 * The growing buffer. The live bytes are memory[start, end). Room at the end
 * is found in this order: what is free there, sliding the live bytes to the
 * front (only when that moves no more bytes than were consumed, so the cost of
 * a byte stays constant), a larger block. The block may be one byte larger
 * than the contents may become, so that a final null byte always fits.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

enum { SMALLEST_BLOCK = 256 };

/* Bytes that are not live any more. */
static void forget(struct buf *buf, size_t from, size_t to)
{
	if (buf->secret && to > from)
		mem_wipe(buf->memory + from, to - from);
}

/* A new block for at least needed bytes, holding the live bytes at 0. */
static void grow(struct buf *buf, size_t needed)
{
	size_t length = buf->end - buf->start;
	size_t cap = buf->start > 0 ? 2 * buf->max + 1 : buf->max + 1;
	size_t size = 2 * needed;
	char *memory;

	if (size < SMALLEST_BLOCK)
		size = SMALLEST_BLOCK;
	if (size > cap)
		size = cap > needed ? cap : needed;
	if (buf->start == 0 && !buf->secret) {
		memory = mem_resize(buf->memory, size, 1);
	} else {
		memory = mem_resize(NULL, size, 1);
		if (length > 0)
			memcpy(memory, buf->memory + buf->start, length);
		forget(buf, 0, buf->end);
		mem_free(buf->memory);
	}
	buf->memory = memory;
	buf->size = size;
	buf->start = 0;
	buf->end = length;
}

/* Makes sure that want bytes can be written behind end. */
static void make_room(struct buf *buf, size_t want)
{
	size_t length = buf->end - buf->start;

	if (buf->size - buf->end >= want)
		return;
	if (length <= buf->start && buf->size - length >= want) {
		if (length > 0)
			memcpy(buf->memory, buf->memory + buf->start, length);
		forget(buf, length, buf->end);
		buf->start = 0;
		buf->end = length;
		return;
	}
	grow(buf, length + want);
}

void buf_init(struct buf *buf, size_t max_bytes)
{
	memset(buf, 0, sizeof(*buf));
	/* Keeps sums of two sizes far from overflow. */
	buf->max = max_bytes < SIZE_MAX / 8 ? max_bytes : SIZE_MAX / 8;
}

void buf_release(struct buf *buf)
{
	forget(buf, 0, buf->size);
	mem_free(buf->memory);
	buf->memory = NULL;
	buf->start = buf->end = buf->size = 0;
}

void buf_reset(struct buf *buf)
{
	forget(buf, buf->start, buf->end);
	buf->start = buf->end = 0;
}

void buf_wipe(struct buf *buf)
{
	mem_wipe(buf->memory, buf->size);
	buf_release(buf);
}

void buf_keep_secret(struct buf *buf)
{
	buf->secret = true;
}

const char *buf_data(const struct buf *buf)
{
	return buf->memory != NULL ? buf->memory + buf->start : "";
}

size_t buf_length(const struct buf *buf)
{
	return buf->end - buf->start;
}

size_t buf_room(const struct buf *buf)
{
	return buf->max - (buf->end - buf->start);
}

char *buf_reserve(struct buf *buf, size_t want)
{
	if (want > buf_room(buf))
		return NULL;
	/* One more, so that memory exists even when nothing is wanted. */
	make_room(buf, want + 1);
	return buf->memory + buf->end;
}

void buf_commit(struct buf *buf, size_t written)
{
	if (written > buf->size - buf->end || written > buf_room(buf))
		bug("commit-beyond-reserve");
	buf->end += written;
}

int buf_add(struct buf *buf, const void *data, size_t length)
{
	char *place;

	if (length == 0)
		return 0;
	place = buf_reserve(buf, length);
	if (place == NULL)
		return -1;
	memcpy(place, data, length);
	buf->end += length;
	return 0;
}

int buf_add_string(struct buf *buf, const char *text)
{
	return buf_add(buf, text, strlen(text));
}

int buf_add_byte(struct buf *buf, char byte)
{
	char *place = buf_reserve(buf, 1);

	if (place == NULL)
		return -1;
	*place = byte;
	buf->end++;
	return 0;
}

int buf_print(struct buf *buf, const char *format, ...)
{
	size_t free_bytes = buf->size - buf->end;
	va_list arguments;
	int length;

	/* Most often it fits into what is there; else its size is known. */
	va_start(arguments, format);
	length = vsnprintf(free_bytes > 0 ? buf->memory + buf->end : NULL,
	    free_bytes, format, arguments);
	va_end(arguments);
	if (length < 0)
		bug("format");
	if ((size_t)length > buf_room(buf))
		return -1;
	if ((size_t)length >= free_bytes) {
		make_room(buf, (size_t)length + 1);
		va_start(arguments, format);
		vsnprintf(buf->memory + buf->end, (size_t)length + 1, format,
		    arguments);
		va_end(arguments);
	}
	buf->end += (size_t)length;
	return 0;
}

void buf_patch(struct buf *buf, size_t offset, const void *data,
    size_t length)
{
	size_t have = buf->end - buf->start;

	if (offset > have || length > have - offset)
		bug("patch-outside");
	if (length > 0)
		memcpy(buf->memory + buf->start + offset, data, length);
}

void buf_consume(struct buf *buf, size_t length)
{
	if (length > buf->end - buf->start)
		bug("consume-too-much");
	forget(buf, buf->start, buf->start + length);
	buf->start += length;
	if (buf->start == buf->end)
		buf->start = buf->end = 0;
}

void buf_wipe_front(struct buf *buf, size_t length)
{
	if (length > buf->end - buf->start)
		bug("consume-too-much");
	if (length > 0)
		mem_wipe(buf->memory + buf->start, length);
	buf_consume(buf, length);
}

void buf_truncate(struct buf *buf, size_t length)
{
	if (length > buf->end - buf->start)
		bug("truncate-to-more");
	forget(buf, buf->start + length, buf->end);
	buf->end = buf->start + length;
}

long buf_find(const struct buf *buf, char byte, size_t from)
{
	size_t length = buf->end - buf->start;
	const char *data = buf_data(buf);
	const char *found;

	if (from >= length)
		return -1;
	found = memchr(data + from, byte, length - from);
	return found != NULL ? found - data : -1;
}

const char *buf_string(struct buf *buf)
{
	make_room(buf, 1);
	buf->memory[buf->end] = '\0';
	return buf->memory + buf->start;
}

char *buf_take(struct buf *buf)
{
	char *memory;

	buf_string(buf);
	if (buf->start > 0)
		memmove(buf->memory, buf->memory + buf->start,
		    buf->end - buf->start + 1);
	memory = buf->memory;
	buf->memory = NULL;
	buf->start = buf->end = buf->size = 0;
	return memory;
}
