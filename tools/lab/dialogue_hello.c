/* SPDX-License-Identifier: ISC */
/*
 * A ClientHello made by hand, for suites and versions that our own OpenSSL was
 * built without, and for forms it does not send: values that mean nothing
 * (RFC 8701), and a hello of more than one record. Only the first record of
 * the answer is read: a ServerHello has accepted, anything else has not.
 */
#include <openssl/rand.h>
#include <string.h>

#include "base/log.h"
#include "tools/lab/dialogue_private.h"
#include "tools/lab/event.h"

enum {
	ANSWER_MS = 5000,
	RECORD_MAX = 16384,
	HELLO_MAX = 64 << 10,
	PADDING = 20000,		/* of a long one */
	RANDOM = 32,
	TYPE_HANDSHAKE = 22, TYPE_ALERT = 21, SERVER_HELLO = 2,
	GREASE = 0x3a3a			/* RFC 8701 */
};

static void add_number(struct buf *out, unsigned number, int bytes)
{
	while (bytes-- > 0)
		buf_add_byte(out, (char)(number >> (8 * bytes)));
}

static void add_random(struct buf *out, size_t length)
{
	unsigned char bytes[RANDOM];

	if (RAND_bytes(bytes, (int)length) != 1)
		fatal("lab-tls", log_text("failed", "RAND_bytes"));
	buf_add(out, bytes, length);
}

static void add_extension(struct buf *out, unsigned type, const void *data,
    size_t length)
{
	add_number(out, type, 2);
	add_number(out, (unsigned)length, 2);
	buf_add(out, data, length);
}

static void add_extensions(struct buf *out, const struct lab_hello *hello)
{
	static const char groups[] = "\0\4\0\x17\0\x1d";  /* P-256, X25519 */
	static const char formats[] = "\1\0";
	static const char algorithms[] = "\0\x0a\4\3\x08\4\4\1\2\3\2\1";
	static const char renegotiation[] = "\0";
	static const char nothing[PADDING];

	add_extension(out, GREASE, nothing, 0);
	add_extension(out, 10, groups, 6);
	add_extension(out, 11, formats, 2);
	add_extension(out, 13, algorithms, 12);
	add_extension(out, 0xff01, renegotiation, 1);
	if (hello->is_long)
		add_extension(out, 21, nothing, PADDING);
}

/* RFC 5246 7.4.1.2 without the header of the message. */
static void add_body(struct buf *out, const struct lab_hello *hello)
{
	struct buf extensions;

	add_number(out, (unsigned)hello->version, 2);
	add_random(out, RANDOM);
	add_number(out, 0, 1);			/* no session */
	add_number(out, (unsigned)hello->count * 2, 2);
	for (size_t i = 0; i < hello->count; i++)
		add_number(out, hello->suites[i], 2);
	add_number(out, 0x0100, 2);		/* no compression */
	if (hello->version == SSL3_VERSION)
		return;
	buf_init(&extensions, HELLO_MAX);
	add_extensions(&extensions, hello);
	add_number(out, (unsigned)buf_length(&extensions), 2);
	buf_add(out, buf_data(&extensions), buf_length(&extensions));
	buf_release(&extensions);
}

/* The message in as many records as it needs. */
static void make_hello(struct buf *out, const struct lab_hello *hello)
{
	struct buf body, message;
	size_t length;

	buf_init(&body, HELLO_MAX);
	buf_init(&message, HELLO_MAX);
	add_body(&body, hello);
	add_number(&message, 1, 1);		/* client_hello */
	add_number(&message, (unsigned)buf_length(&body), 3);
	buf_add(&message, buf_data(&body), buf_length(&body));
	while ((length = buf_length(&message)) > 0) {
		if (length > RECORD_MAX)
			length = RECORD_MAX;
		add_number(out, TYPE_HANDSHAKE, 1);
		add_number(out, hello->version == SSL3_VERSION ?
		    SSL3_VERSION : TLS1_VERSION, 2);
		add_number(out, (unsigned)length, 2);
		buf_add(out, buf_data(&message), length);
		buf_consume(&message, length);
	}
	buf_release(&body);
	buf_release(&message);
}

/* The form of SSL 2, which later versions could be offered in, too. */
static void make_old_hello(struct buf *out, const struct lab_hello *hello)
{
	size_t suites = hello->count * 3, length = 9 + suites + 16;

	add_number(out, 0x8000 | (unsigned)length, 2);
	add_number(out, 1, 1);
	add_number(out, SSL2_VERSION, 2);
	add_number(out, (unsigned)suites, 2);
	add_number(out, 0, 2);
	add_number(out, 16, 2);
	for (size_t i = 0; i < hello->count; i++)
		add_number(out, hello->suites[i], 3);
	add_random(out, 16);
}

/* The answer's first bytes, until they tell what it is. */
static size_t read_answer(struct lab_client *client, unsigned char *answer,
    size_t size)
{
	size_t used = 0;
	ssize_t got;

	lab_client_hurry(client, ANSWER_MS);
	while (used < size && (got = lab_link_read(&client->link,
	    (char *)answer + used, size - used)) > 0)
		used += (size_t)got;
	return used;
}

static enum lab_move_end judge(struct lab_client *client,
    const unsigned char *answer, size_t length, bool accepted)
{
	bool hello = length >= 6 && answer[0] == TYPE_HANDSHAKE &&
	    answer[5] == SERVER_HELLO;
	/* SSL 2: a length, and the type. */
	bool old = length >= 3 && (answer[0] & 0x80) != 0 && answer[2] == 4;

	if (hello || old)
		return accepted ? LAB_MOVE_HOLDS : lab_client_say(client,
		    LAB_MOVE_UNSAFE, "the server accepted it");
	if (lab_client_is_late(client))
		return lab_client_say(client, LAB_MOVE_UNSERVED, "neither "
		    "accepted nor refused in %d seconds", ANSWER_MS / 1000);
	if (length >= 1 && answer[0] == TYPE_ALERT)
		lab_client_say(client, LAB_MOVE_ENDS, "the server refused it: "
		    "alert %d", length >= 7 ? answer[6] : 0);
	else
		lab_client_say(client, LAB_MOVE_ENDS, "the server refused it");
	return accepted ? LAB_MOVE_UNSERVED : LAB_MOVE_ENDS;
}

enum lab_move_end lab_client_hello(struct lab_client *client,
    const struct lab_hello *hello, bool accepted)
{
	unsigned char answer[7];
	struct buf bytes;
	size_t length;

	buf_init(&bytes, HELLO_MAX);
	if (hello->version == SSL2_VERSION)
		make_old_hello(&bytes, hello);
	else
		make_hello(&bytes, hello);
	lab_client_hurry(client, ANSWER_MS);
	lab_link_write(&client->link, buf_data(&bytes), buf_length(&bytes));
	buf_release(&bytes);
	length = read_answer(client, answer, sizeof(answer));
	lab_event("client", "handshake", json_pack("{s:s}", "problem",
	    length >= 6 && answer[0] == TYPE_HANDSHAKE ?
	    "a ClientHello by hand: ServerHello" :
	    "a ClientHello by hand: refused"));
	return judge(client, answer, length, accepted);
}
