/* SPDX-License-Identifier: ISC */
/*
 * What a man in the middle does, a struct of hooks for each word. Stripping
 * may have to hold back a line, because the last line of a reply has another
 * mark than those before it (RFC 5321 4.2.1). An answer in the server's place
 * is given at once: a client that sent something else in the same group and
 * still waits for that gets them in the wrong order.
 */
#include "tools/lab/path_private.h"

#include <string.h>
#include <strings.h>

enum {
	RECORD_DATA = 23,		/* RFC 8446 5.1 */
	FLIP_LENGTH = 64,		/* only in longer records */
	FLIP_OFFSET = 32,
	PIECES_BYTES = 4096,		/* one by one: clear text, handshake */
	PIECE = 16			/* and what comes later */
};

/* The whole word at the start of text, in any case; length is the line's. */
static bool is_word(const char *text, size_t length, const char *word)
{
	size_t long_enough = strlen(word);

	return length >= long_enough &&
	    strncasecmp(text, word, long_enough) == 0 &&
	    (length == long_enough ||
	    strchr(" \t\r\n", text[long_enough]) != NULL);
}

/* "250-STARTTLS" and "250 STARTTLS". */
static bool offers_starttls(const char *line, size_t length)
{
	return length > 4 && strncmp(line, "250", 3) == 0 &&
	    (line[3] == '-' || line[3] == ' ') &&
	    is_word(line + 4, length - 4, "STARTTLS");
}

static void answer(struct path_relay *relay, const char *text)
{
	buf_add_string(&relay->down.out, text);
}

static void pass_up(struct path_relay *relay, const char *line, size_t length)
{
	buf_add(&relay->up.out, line, length);
}

void path_release_held(struct path_relay *relay)
{
	struct buf *held = &relay->held;

	buf_add(&relay->down.out, buf_data(held), buf_length(held));
	buf_reset(held);
}

/* --- strip --- */

/*
 * Takes the offer out of a reply. The first line of a reply to EHLO is the
 * server's name, whatever that is, so something is always held when an offer
 * comes; if it was the last line, the one before becomes that.
 */
static void strip_reply(struct path_relay *relay, char *line, size_t length)
{
	struct buf *held = &relay->held;

	if (buf_length(held) > 0 && offers_starttls(line, length)) {
		if (line[3] == ' ') {
			buf_patch(held, 3, " ", 1);
			path_release_held(relay);
		}
		return;
	}
	path_release_held(relay);
	if (length > 4 && strncmp(line, "250-", 4) == 0)
		buf_add(held, line, length);
	else
		buf_add(&relay->down.out, line, length);
}

static void strip_command(struct path_relay *relay, char *line, size_t length)
{
	if (is_word(line, length, "STARTTLS"))
		answer(relay, "502 5.5.1 Command not implemented\r\n");
	else
		pass_up(relay, line, length);
}

/* --- mangle --- */

/*
 * As the fixup of an old firewall does it: of the banner only the code and
 * some figures are left, and the keyword is as long as before but unknown.
 */
static void mangle_reply(struct path_relay *relay, char *line, size_t length)
{
	size_t i;

	if (!relay->greeted && length > 4 && strncmp(line, "220", 3) == 0) {
		relay->greeted = line[3] == ' ';
		for (i = 4; i < length && strchr("\r\n", line[i]) == NULL;
		    i++)
			if (line[i] != '2' && line[i] != '0')
				line[i] = '*';
	} else if (offers_starttls(line, length)) {
		memcpy(line + 4, "XXXXXXXA", 8);
	}
	buf_add(&relay->down.out, line, length);
}

static void mangle_command(struct path_relay *relay, char *line,
    size_t length)
{
	if (is_word(line, length, "STARTTLS"))
		memset(line, 'X', 8);
	pass_up(relay, line, length);
}

/* --- refuse-ehlo, refuse-starttls --- */

static void refuse_ehlo(struct path_relay *relay, char *line, size_t length)
{
	if (is_word(line, length, "EHLO"))
		answer(relay, "502 5.5.1 Command not implemented\r\n");
	else
		pass_up(relay, line, length);
}

static void refuse_starttls(struct path_relay *relay, char *line,
    size_t length)
{
	if (is_word(line, length, "STARTTLS"))
		answer(relay, "454 4.7.0 TLS not available due to temporary "
		    "reason\r\n");
	else
		pass_up(relay, line, length);
}

/* --- inject --- */

static void inject_command(struct path_relay *relay, char *line,
    size_t length)
{
	relay->asked = is_word(line, length, "STARTTLS");
	pass_up(relay, line, length);
}

/* Both are in `out` before anything is written: one segment. */
static void inject_reply(struct path_relay *relay, char *line, size_t length)
{
	buf_add(&relay->down.out, line, length);
	if (!relay->asked || (length > 3 && line[3] == '-'))
		return;
	relay->asked = false;
	if (length > 3 && strncmp(line, "220", 3) == 0)
		answer(relay, "250 2.0.0 injected\r\n");
}

/* --- drop-tls, reset-tls --- */

static int fall_silent(struct path_relay *relay)
{
	relay->silent = true;
	return 0;
}

static int break_off(struct path_relay *relay)
{
	(void)relay;
	return -1;
}

/* --- flip --- */

/*
 * In TLS 1.3 most of the handshake is sent as application data, too, up to the
 * client's Finished; so only what comes after the client's own first record of
 * it is the server's to send to whom it knows.
 */
static bool must_flip(const struct path_relay *relay,
    const struct path_way *way)
{
	const uint8_t *header = way->records.header;

	return !relay->done && way == &relay->down &&
	    header[0] == RECORD_DATA &&
	    (header[3] << 8 | header[4]) > FLIP_LENGTH &&
	    way->records.offset == FLIP_OFFSET && relay->up.records.data;
}

static void flip_bytes(struct path_relay *relay, struct path_way *way,
    char *data, size_t length)
{
	struct path_records *records = &way->records;
	const uint8_t *header = records->header;
	size_t i;

	for (i = 0; i < length; i++) {
		if (records->header_length == sizeof(records->header)) {
			if (must_flip(relay, way)) {
				data[i] ^= 1;
				relay->done = true;
			}
			records->offset++;
		} else {
			records->header[records->header_length++] =
			    (uint8_t)data[i];
			records->offset = 0;
		}
		if (records->header_length < sizeof(records->header))
			continue;
		records->data = records->data || header[0] == RECORD_DATA;
		if (records->offset == (size_t)(header[3] << 8 | header[4]))
			records->header_length = 0;
	}
	buf_add(&way->out, data, length);
}

/* --- pieces --- */

static size_t small_piece(const struct path_way *way)
{
	return way->written < PIECES_BYTES ? 1 : PIECE;
}

static const struct path_spoil spoils[LAB_PATHS] = {
	[LAB_PATH_STRIP] = { .reply = strip_reply, .command = strip_command },
	[LAB_PATH_MANGLE] = { .reply = mangle_reply,
	    .command = mangle_command },
	[LAB_PATH_REFUSE_EHLO] = { .command = refuse_ehlo },
	[LAB_PATH_REFUSE_STARTTLS] = { .command = refuse_starttls },
	[LAB_PATH_INJECT] = { .reply = inject_reply,
	    .command = inject_command },
	[LAB_PATH_DROP_TLS] = { .start_tls = fall_silent },
	[LAB_PATH_RESET_TLS] = { .start_tls = break_off },
	[LAB_PATH_FLIP] = { .bytes = flip_bytes },
	[LAB_PATH_PIECES] = { .piece = small_piece },
};

const struct path_spoil *path_spoil_of(enum lab_path path)
{
	return &spoils[path];
}
