/* SPDX-License-Identifier: ISC */
/*
 * Building, writing and reading envelopes. What is read may come from a
 * confused or hostile peer or from a damaged row: every text is bounded and
 * may hold no control character, since most of them end up in an SMTP command
 * or in a notification.
 */
#include "queue/envelope.h"

#include <string.h>

#include "base/address.h"
#include "base/arena.h"
#include "base/wire.h"

/* Bytes of the shortest recipient as written: three lengths and flags; and of
 * the shortest piece: what it is, and a length. */
enum { RECIPIENT_MIN = 4 + 1 + 4 + 1 + 1, PIECE_MIN = 1 + 4,
    FIRST_CAPACITY = 4 };

/* Printable, or UTF-8 (checked by whoever interprets it). */
static bool text_is_clean(const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char byte = (unsigned char)*text;

		if (byte < ' ' || byte == 0x7f)
			return false;
	}
	return true;
}

/* The domain in lower case; empty if there is no at sign. */
static char *domain_of(struct arena *arena, const char *address)
{
	const char *at = strrchr(address, '@');
	char *domain = arena_dup_string(arena, at == NULL ? "" : at + 1);

	for (char *byte = domain; *byte != '\0'; byte++) {
		if (*byte >= 'A' && *byte <= 'Z')
			*byte = (char)(*byte - 'A' + 'a');
	}
	return domain;
}

struct envelope *envelope_new(struct arena *arena)
{
	struct envelope *envelope = arena_alloc(arena, sizeof(*envelope));

	envelope->sender = arena_dup_string(arena, "");
	envelope->client = envelope->sender;
	envelope->helo = envelope->sender;
	envelope->protocol = envelope->sender;
	envelope->user = envelope->sender;
	envelope->prefix = envelope->sender;
	return envelope;
}

/*
 * The array has room for FIRST_CAPACITY, then for every power of two: so its
 * capacity need not be kept, and what the growth leaves behind in the arena
 * is less than the array itself.
 */
static void make_room(struct envelope *envelope, struct arena *arena)
{
	struct envelope_recipient *larger;
	size_t count = envelope->recipient_count;

	if (count != 0 && (count < FIRST_CAPACITY || (count & (count - 1))))
		return;
	larger = arena_alloc_array(arena,
	    count == 0 ? FIRST_CAPACITY : count * 2, sizeof(*larger));
	if (count > 0)
		memcpy(larger, envelope->recipients, count * sizeof(*larger));
	envelope->recipients = larger;
}

void envelope_add_recipient(struct envelope *envelope, struct arena *arena,
    const char *address, const char *original, unsigned notify)
{
	struct envelope_recipient *recipient;

	make_room(envelope, arena);
	recipient = &envelope->recipients[envelope->recipient_count++];
	recipient->address = arena_dup_string(arena, address);
	recipient->domain = domain_of(arena, address);
	if (original != NULL)
		recipient->original = arena_dup_string(arena, original);
	recipient->notify = (uint8_t)notify;
}

const char *envelope_tls_tag(const struct envelope *envelope)
{
	if (envelope->flags & ENVELOPE_REQUIRETLS)
		return "requiretls";
	if (envelope->flags & ENVELOPE_TLS_OPTIONAL)
		return "optional";
	return NULL;
}

/* A line end that is none elsewhere would let others read another message. */
static bool is_clean_lines(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '\0' || (text[i] == '\n' &&
		    (i == 0 || text[i - 1] != '\r')) ||
		    (text[i] == '\r' &&
		    (i + 1 == length || text[i + 1] != '\n')))
			return false;
	}
	return true;
}

static bool piece_fits(const struct envelope_piece *piece,
    uint64_t body_length)
{
	if (piece->text != NULL)
		return piece->length <= ENVELOPE_PIECE_TEXT_MAX &&
		    is_clean_lines(piece->text, (size_t)piece->length);
	return piece->offset <= body_length &&
	    piece->length <= body_length - piece->offset;
}

bool envelope_content_fits(const struct envelope *envelope,
    uint64_t body_length)
{
	uint64_t total = 0, text = 0;

	if (envelope->piece_count > ENVELOPE_PIECES_MAX ||
	    envelope->original_length > body_length)
		return false;
	for (size_t i = 0; i < envelope->piece_count; i++) {
		const struct envelope_piece *piece = &envelope->pieces[i];

		if (!piece_fits(piece, body_length) ||
		    piece->length > UINT64_MAX - total)
			return false;
		total += piece->length;
		text += piece->text == NULL ? 0 : piece->length;
		if (text > ENVELOPE_PIECE_TEXT_MAX)
			return false;
	}
	return true;
}

void envelope_put_optional(struct wire_writer *writer, const char *text)
{
	wire_put_u8(writer, text != NULL);
	wire_put_text(writer, text);
}

char *envelope_get_optional(struct wire_reader *reader, struct arena *arena)
{
	bool present = wire_get_enum(reader, 2) == 1;
	char *text = envelope_get_text(reader, arena);

	if (!present && text[0] != '\0')
		reader->bad = true;
	return present && !reader->bad ? text : NULL;
}

char *envelope_get_text(struct wire_reader *reader, struct arena *arena)
{
	char *text = wire_get_text(reader, arena, ENVELOPE_TEXT_MAX);

	if (!text_is_clean(text))
		reader->bad = true;
	return text;
}

void envelope_put(struct wire_writer *writer, const struct envelope *envelope)
{
	envelope_put_head(writer, envelope);
	envelope_put_forward_sender(writer, envelope);
	wire_put_u32(writer, (uint32_t)envelope->recipient_count);
	for (size_t i = 0; i < envelope->recipient_count; i++) {
		envelope_put_recipient(writer, &envelope->recipients[i]);
		wire_put_u8(writer, envelope->recipients[i].flags);
	}
	envelope_put_content(writer, envelope);
	envelope_put_user(writer, envelope);
}

void envelope_put_head(struct wire_writer *writer,
    const struct envelope *envelope)
{
	wire_put_text(writer, envelope->sender);
	envelope_put_optional(writer, envelope->envid);
	wire_put_u32(writer, envelope->flags);
	wire_put_text(writer, envelope->client);
	wire_put_text(writer, envelope->helo);
	wire_put_text(writer, envelope->protocol);
	envelope_put_optional(writer, envelope->tls);
	wire_put_bytes(writer, envelope->prefix, envelope->prefix_length);
}

void envelope_put_recipient(struct wire_writer *writer,
    const struct envelope_recipient *recipient)
{
	wire_put_text(writer, recipient->address);
	envelope_put_optional(writer, recipient->original);
	wire_put_u8(writer, recipient->notify);
}

void envelope_put_forward_sender(struct wire_writer *writer,
    const struct envelope *envelope)
{
	envelope_put_optional(writer, envelope->forward_sender);
}

void envelope_put_content(struct wire_writer *writer,
    const struct envelope *envelope)
{
	wire_put_u64(writer, envelope->original_length);
	wire_put_u32(writer, (uint32_t)envelope->piece_count);
	for (size_t i = 0; i < envelope->piece_count; i++) {
		const struct envelope_piece *piece = &envelope->pieces[i];

		wire_put_u8(writer, piece->text != NULL);
		if (piece->text != NULL) {
			wire_put_bytes(writer, piece->text,
			    (size_t)piece->length);
			continue;
		}
		wire_put_u64(writer, piece->offset);
		wire_put_u64(writer, piece->length);
	}
	envelope_put_optional(writer, envelope->hold);
}

/* left: bytes of text that may still come. */
static void get_piece(struct wire_reader *reader, struct arena *arena,
    struct envelope_piece *piece, size_t *left)
{
	const char *text;
	size_t length;

	if (wire_get_enum(reader, 2) == 0) {
		piece->offset = wire_get_u64(reader);
		piece->length = wire_get_u64(reader);
		return;
	}
	text = wire_get_bytes(reader, *left, &length);
	if (reader->bad)
		return;
	piece->text = arena_dup_text(arena, length == 0 ? "" : text, length);
	piece->length = length;
	*left -= length;
}

void envelope_get_content(struct wire_reader *reader, struct arena *arena,
    struct envelope *envelope)
{
	size_t left = ENVELOPE_PIECE_TEXT_MAX;
	uint32_t count;

	envelope->original_length = wire_get_u64(reader);
	count = wire_get_u32(reader);
	if (count > ENVELOPE_PIECES_MAX ||
	    count > (size_t)(reader->end - reader->position) / PIECE_MIN)
		reader->bad = true;
	if (reader->bad)
		return;
	if (count > 0)
		envelope->pieces = arena_alloc_array(arena, count,
		    sizeof(*envelope->pieces));
	for (uint32_t i = 0; i < count && !reader->bad; i++)
		get_piece(reader, arena, &envelope->pieces[i], &left);
	envelope->piece_count = count;
	envelope->hold = envelope_get_optional(reader, arena);
	if (!reader->bad && !envelope_content_fits(envelope, UINT64_MAX))
		reader->bad = true;
}

void envelope_put_user(struct wire_writer *writer,
    const struct envelope *envelope)
{
	wire_put_text(writer, envelope->user);
}

void envelope_get_user(struct wire_reader *reader, struct arena *arena,
    struct envelope *envelope)
{
	envelope->user = envelope_get_text(reader, arena);
}

static bool is_sender(const char *text)
{
	return strchr(text, '@') != NULL && strlen(text) <= ADDRESS_MAX;
}

void envelope_get_forward_sender(struct wire_reader *reader,
    struct arena *arena, struct envelope *envelope)
{
	envelope->forward_sender = envelope_get_optional(reader, arena);
	if (envelope->forward_sender != NULL &&
	    !is_sender(envelope->forward_sender))
		reader->bad = true;
}

uint8_t envelope_get_recipient_flags(struct wire_reader *reader)
{
	return (uint8_t)wire_get_enum(reader, (RECIPIENT_FORWARDED |
	    RECIPIENT_EXPANDED) + 1);
}

/* A prefix is whole lines: else the first body line would join the last. */
static void get_prefix(struct wire_reader *reader, struct arena *arena,
    struct envelope *envelope)
{
	size_t length;
	const char *prefix = wire_get_bytes(reader, ENVELOPE_PREFIX_MAX,
	    &length);

	if (reader->bad || length == 0)
		return;
	if (length < 2 || prefix[length - 2] != '\r' ||
	    prefix[length - 1] != '\n' || memchr(prefix, 0, length) != NULL) {
		reader->bad = true;
		return;
	}
	envelope->prefix = arena_dup_text(arena, prefix, length);
	envelope->prefix_length = length;
}

struct envelope *envelope_get_head(struct wire_reader *reader,
    struct arena *arena)
{
	struct envelope *envelope = envelope_new(arena);

	envelope->sender = envelope_get_text(reader, arena);
	envelope->envid = envelope_get_optional(reader, arena);
	envelope->flags = wire_get_u32(reader);
	/* Nobody can want both (RFC 8689 4.1). */
	if (envelope->flags & ENVELOPE_REQUIRETLS &&
	    envelope->flags & ENVELOPE_TLS_OPTIONAL)
		reader->bad = true;
	envelope->client = envelope_get_text(reader, arena);
	envelope->helo = envelope_get_text(reader, arena);
	envelope->protocol = envelope_get_text(reader, arena);
	envelope->tls = envelope_get_optional(reader, arena);
	get_prefix(reader, arena, envelope);
	if (envelope->sender[0] != '\0' && !is_sender(envelope->sender))
		reader->bad = true;
	return reader->bad ? NULL : envelope;
}

void envelope_get_recipient(struct wire_reader *reader, struct arena *arena,
    struct envelope_recipient *recipient)
{
	const unsigned all = NOTIFY_NEVER | NOTIFY_SUCCESS | NOTIFY_FAILURE |
	    NOTIFY_DELAY;

	recipient->address = envelope_get_text(reader, arena);
	recipient->domain = domain_of(arena, recipient->address);
	recipient->original = envelope_get_optional(reader, arena);
	recipient->notify = (uint8_t)wire_get_enum(reader, all + 1);
	if (recipient->domain[0] == '\0' || recipient->address[0] == '@' ||
	    strlen(recipient->address) > ADDRESS_MAX ||
	    strlen(recipient->domain) > ADDRESS_DOMAIN_MAX)
		reader->bad = true;
}

struct envelope *envelope_get(struct wire_reader *reader, struct arena *arena)
{
	struct envelope *envelope = envelope_get_head(reader, arena);
	uint32_t count;

	if (envelope == NULL)
		return NULL;
	envelope_get_forward_sender(reader, arena, envelope);
	count = wire_get_u32(reader);
	if (reader->bad || count > ENVELOPE_RECIPIENTS_MAX ||
	    count > (size_t)(reader->end - reader->position) / RECIPIENT_MIN) {
		reader->bad = true;
		return NULL;
	}
	if (count > 0)
		envelope->recipients = arena_alloc_array(arena, count,
		    sizeof(*envelope->recipients));
	for (uint32_t i = 0; i < count && !reader->bad; i++) {
		struct envelope_recipient *recipient =
		    &envelope->recipients[i];

		envelope_get_recipient(reader, arena, recipient);
		recipient->flags = envelope_get_recipient_flags(reader);
	}
	envelope->recipient_count = count;
	envelope_get_content(reader, arena, envelope);
	envelope_get_user(reader, arena, envelope);
	return reader->bad ? NULL : envelope;
}
