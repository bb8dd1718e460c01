/* SPDX-License-Identifier: ISC */
/*
 * The bodies of the messages about recipients: one pair of functions each.
 * What is read comes from another role, and every field of it is hostile.
 */
#include "policy/directory_message.h"

#include <string.h>

#include "base/arena.h"
#include "base/wire.h"

void directory_put_check(struct wire_writer *writer,
    const struct directory_check_message *message)
{
	wire_put_text(writer, message->address);
	wire_put_text(writer, message->sender);
}

int directory_get_check(struct wire_reader *reader, struct arena *arena,
    struct directory_check_message *message)
{
	message->address = wire_get_text(reader, arena, DIRECTORY_TEXT_MAX);
	message->sender = wire_get_text(reader, arena, DIRECTORY_TEXT_MAX);
	return wire_read_end(reader);
}

void directory_put_answer(struct wire_writer *writer,
    const struct directory_answer_message *message)
{
	const struct directory_found *found = &message->found;

	wire_put_u8(writer, (uint8_t)message->answer);
	if (message->answer != DIRECTORY_FOUND)
		return;
	wire_put_u8(writer, found->by_alias);
	wire_put_u8(writer, found->forward_sender != NULL);
	wire_put_text(writer, found->forward_sender);
	wire_put_u32(writer, (uint32_t)found->count);
	for (size_t i = 0; i < found->count; i++) {
		wire_put_text(writer, found->targets[i].address);
		wire_put_u8(writer, found->targets[i].forwarded);
	}
}

/* An address that could stand in an envelope, or the reader is bad. */
static const char *get_address(struct wire_reader *reader, struct arena *arena)
{
	const char *text = wire_get_text(reader, arena, DIRECTORY_TEXT_MAX);

	if (strchr(text, '@') == NULL || text[0] == '@')
		reader->bad = true;
	return text;
}

static void get_found(struct wire_reader *reader, struct arena *arena,
    struct directory_found *found)
{
	struct directory_target *targets;
	bool rewritten;
	uint32_t count;

	found->by_alias = wire_get_enum(reader, 2) == 1;
	rewritten = wire_get_enum(reader, 2) == 1;
	found->forward_sender = rewritten ? get_address(reader, arena) : NULL;
	if (!rewritten && wire_get_u32(reader) != 0)
		reader->bad = true;
	count = wire_get_u32(reader);
	if (count == 0 || count > DIRECTORY_TARGETS_MAX)
		reader->bad = true;
	if (reader->bad)
		return;
	targets = arena_alloc_array(arena, count, sizeof(*targets));
	for (uint32_t i = 0; i < count && !reader->bad; i++) {
		targets[i].address = get_address(reader, arena);
		targets[i].forwarded = wire_get_enum(reader, 2) == 1;
	}
	found->targets = targets;
	found->count = count;
}

int directory_get_answer(struct wire_reader *reader, struct arena *arena,
    struct directory_answer_message *message)
{
	memset(message, 0, sizeof(*message));
	message->answer = wire_get_enum(reader, DIRECTORY_ANSWERS);
	if (message->answer == DIRECTORY_FOUND && !reader->bad)
		get_found(reader, arena, &message->found);
	return wire_read_end(reader);
}
