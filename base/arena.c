/* SPDX-License-Identifier: ISC */
/*
 * Blocks in a chain; the current block is cut from its front. The arena itself
 * lies at the head of its first block, so that an arena that stays small is
 * one allocation. Under AddressSanitizer what was not handed out is poisoned
 * and a gap is left behind each piece, so that overruns are found there.
 */
#include "base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISONED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISONED 1
#endif
#endif

#ifdef ARENA_POISONED
#include <sanitizer/asan_interface.h>
#define GAP ((size_t)16)
#define poison(memory, size) ASAN_POISON_MEMORY_REGION(memory, size)
#define unpoison(memory, size) ASAN_UNPOISON_MEMORY_REGION(memory, size)
#else
#define GAP ((size_t)0)
#define poison(memory, size) ((void)(memory), (void)(size))
#define unpoison(memory, size) ((void)(memory), (void)(size))
#endif

enum { FIRST_BLOCK = 2048, LARGEST_STEP = 64 << 10, SPARES_MAX = 64 };

struct block {
	struct block	*next;		/* older; owned */
	size_t		 size;		/* of the whole allocation */
};

struct arena {
	struct block	 first;
	struct block	*current;	/* newest; owned unless it is first */
	size_t		 position;	/* offset into current */
	size_t		 used;
	size_t		 ceiling;
};

static size_t aligned(size_t size, size_t alignment)
{
	return (size + alignment - 1) & ~(alignment - 1);
}

/* Where pieces may begin in a block with a header of that size. */
static size_t header(size_t size)
{
	return aligned(size, alignof(max_align_t));
}

static void poison_rest(struct arena *arena)
{
	poison((char *)arena->current + arena->position,
	    arena->current->size - arena->position);
}

/* Puts a block in front that holds at least size bytes. */
static void add_block(struct arena *arena, size_t size)
{
	size_t step = arena->current->size * 2;
	size_t bytes = header(sizeof(struct block)) + size + GAP;
	struct block *block;

	if (step > LARGEST_STEP)
		step = LARGEST_STEP;
	if (bytes < step)
		bytes = step;
	block = mem_resize(NULL, bytes, 1);
	block->next = arena->current;
	block->size = bytes;
	arena->current = block;
	arena->position = header(sizeof(struct block));
	poison_rest(arena);
}

/* Not zeroed. */
static void *cut(struct arena *arena, size_t size, size_t alignment)
{
	size_t left = arena->ceiling - arena->used;
	size_t place;
	char *memory;

	if (size > left)
		bug("arena-ceiling");
	place = aligned(arena->position, alignment);
	if (place > arena->current->size ||
	    size + GAP > arena->current->size - place) {
		add_block(arena, size);
		place = arena->position;
	}
	memory = (char *)arena->current + place;
	arena->position = place + size + GAP;
	arena->used += size;
	unpoison(memory, size);
	return memory;
}

static void free_blocks(struct arena *arena)
{
	struct block *block;

	while (arena->current != &arena->first) {
		block = arena->current;
		arena->current = block->next;
		unpoison(block, block->size);
		mem_free(block);
	}
}

#ifdef ARENA_POISONED
static void *first_block_new(void)
{
	return mem_resize(NULL, FIRST_BLOCK, 1);
}

static void first_block_free(void *block)
{
	mem_free(block);
}
#else
/* Some first blocks that are not in use: arenas come and go with each message.
 * Each thread has its own. */
static _Thread_local void *spares[SPARES_MAX];
static _Thread_local unsigned spare_count;

static void *first_block_new(void)
{
	return spare_count > 0 ? spares[--spare_count] :
	    mem_resize(NULL, FIRST_BLOCK, 1);
}

static void first_block_free(void *block)
{
	if (spare_count < SPARES_MAX)
		spares[spare_count++] = block;
	else
		mem_free(block);
}
#endif

struct arena *arena_new(size_t ceiling_bytes)
{
	struct arena *arena = first_block_new();

	arena->first.next = NULL;
	arena->first.size = FIRST_BLOCK;
	arena->current = &arena->first;
	arena->position = header(sizeof(*arena));
	arena->used = 0;
	/* Keeps sums with headers far from overflow. */
	arena->ceiling = ceiling_bytes < SIZE_MAX / 8 ? ceiling_bytes :
	    SIZE_MAX / 8;
	poison_rest(arena);
	return arena;
}

void arena_free(struct arena *arena)
{
	if (arena == NULL)
		return;
	free_blocks(arena);
	unpoison(arena, arena->first.size);
	first_block_free(arena);
}

void arena_reset(struct arena *arena)
{
	free_blocks(arena);
	arena->position = header(sizeof(*arena));
	arena->used = 0;
	poison_rest(arena);
}

size_t arena_used(const struct arena *arena)
{
	return arena->used;
}

void *arena_alloc(struct arena *arena, size_t size)
{
	void *memory = cut(arena, size, alignof(max_align_t));

	memset(memory, 0, size);
	return memory;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
	size_t bytes;

	if (__builtin_mul_overflow(count, size, &bytes))
		bug("arena-overflow");
	return arena_alloc(arena, bytes);
}

void *arena_dup(struct arena *arena, const void *source, size_t size)
{
	void *copy = cut(arena, size, alignof(max_align_t));

	if (size > 0)
		memcpy(copy, source, size);
	return copy;
}

char *arena_dup_text(struct arena *arena, const char *source, size_t size)
{
	char *copy;

	if (size == SIZE_MAX)
		bug("arena-overflow");
	copy = cut(arena, size + 1, 1);
	if (size > 0)
		memcpy(copy, source, size);
	copy[size] = '\0';
	return copy;
}

char *arena_dup_string(struct arena *arena, const char *source)
{
	return arena_dup_text(arena, source, strlen(source));
}

char *arena_print(struct arena *arena, const char *format, ...)
{
	va_list arguments;
	char *text;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	if (length < 0)
		bug("format");
	text = cut(arena, (size_t)length + 1, 1);
	va_start(arguments, format);
	vsnprintf(text, (size_t)length + 1, format, arguments);
	va_end(arguments);
	return text;
}
