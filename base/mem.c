/* SPDX-License-Identifier: ISC */
/*
 * Allocation that succeeds or ends the process. Everything goes through
 * checked(), so there is one place that gives up. The logger below this file
 * never allocates, which makes it safe to report from here.
 */
#include "base/mem.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

static void *checked(void *memory, size_t size)
{
	if (memory == NULL)
		fatal("memory", log_errno(ENOMEM),
		    log_number("bytes", (int64_t)size));
	return memory;
}

/* Bytes of count things, never 0: malloc(0) may return null. */
static size_t product(size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		fatal("memory", log_text("error", "size overflow"),
		    log_number("count", (int64_t)count),
		    log_number("size", (int64_t)size));
	return bytes != 0 ? bytes : 1;
}

void *mem_alloc(size_t size)
{
	return mem_alloc_array(1, size);
}

void *mem_alloc_array(size_t count, size_t size)
{
	size_t bytes = product(count, size);

	return checked(calloc(1, bytes), bytes);
}

void *mem_resize(void *memory, size_t count, size_t size)
{
	size_t bytes = product(count, size);

	return checked(realloc(memory, bytes), bytes);
}

void *mem_dup(const void *source, size_t size)
{
	void *copy = mem_resize(NULL, size, 1);

	if (size > 0)
		memcpy(copy, source, size);
	return copy;
}

char *mem_dup_string(const char *source)
{
	return source != NULL ? mem_dup(source, strlen(source) + 1) : NULL;
}

char *mem_print(const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vasprintf(&text, format, arguments);
	va_end(arguments);
	return checked(length >= 0 ? text : NULL, 0);
}

void mem_free(void *memory)
{
	free(memory);
}

void mem_wipe(void *memory, size_t size)
{
	if (size > 0)
		explicit_bzero(memory, size);
}

void mem_free_secret(char *secret)
{
	if (secret != NULL)
		mem_wipe(secret, strlen(secret));
	free(secret);
}
