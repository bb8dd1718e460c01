/* SPDX-License-Identifier: ISC */
/*
 * The messages of RFC 5802 7 and the computation of its section 3:
 *
 *	SaltedPassword = PBKDF2(password, salt, iterations)
 *	ClientKey = HMAC(SaltedPassword, "Client Key"), StoredKey = H(ClientKey)
 *	ServerKey = HMAC(SaltedPassword, "Server Key")
 *	ClientProof = ClientKey XOR HMAC(StoredKey, AuthMessage)
 *	ServerSignature = HMAC(ServerKey, AuthMessage)
 *
 * AuthMessage is what was said before the proof, word for word: both sides
 * gather it in one buffer as they go, and nothing is ever written anew from
 * what was understood of it.
 */
#include "base/scram.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"

enum {
	RANDOM_BYTES = 18,
	/* three messages and two commas, our nonce added to the peer's */
	SPOKEN_MAX = 4 * SCRAM_MESSAGE_MAX,
	HEADER_MAX = 2 * SCRAM_NAME_MAX * 3,
	BOUND_MAX = HEADER_MAX + SCRAM_BINDING_MAX
};

static const char binding_name[] = "tls-exporter";

/* --- preparation --- */

/* One character of UTF-8 (RFC 3629 4); 0 bytes: it is none. */
static size_t character(const uint8_t *text, uint32_t *code)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t length = text[0] < 0x80 ? 1 : text[0] < 0xc2 ? 0 :
	    text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : text[0] < 0xf5 ? 4 : 0;

	if (length == 0)
		return 0;
	*code = length == 1 ? text[0] : text[0] & (0x7fu >> length);
	for (size_t i = 1; i < length; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (text[i] & 0x3f);
	}
	if (*code < least[length] || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code <= 0xdfff))
		return 0;
	return length;
}

/* RFC 3454 C.1.2 */
static bool is_space(uint32_t code)
{
	return code == 0xa0 || code == 0x1680 ||
	    (code >= 0x2000 && code <= 0x200b) || code == 0x202f ||
	    code == 0x205f || code == 0x3000;
}

/* RFC 3454 B.1 */
static bool is_nothing(uint32_t code)
{
	return code == 0xad || code == 0x34f || code == 0x1806 ||
	    (code >= 0x180b && code <= 0x180d) || code == 0x200c ||
	    code == 0x200d || code == 0x2060 ||
	    (code >= 0xfe00 && code <= 0xfe0f) || code == 0xfeff;
}

static bool is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code <= 0x9f);
}

int scram_prepare(char *out, size_t size, const char *text)
{
	const uint8_t *at = (const uint8_t *)text;
	size_t used = 0, length;
	uint32_t code = 0;

	for (; *at != '\0'; at += length) {
		length = character(at, &code);
		if (length == 0 || is_control(code))
			return -1;
		if (is_nothing(code))
			continue;
		if (used + length >= size)
			return -1;
		if (is_space(code)) {
			out[used++] = ' ';
			continue;
		}
		memcpy(out + used, at, length);
		used += length;
	}
	out[used] = '\0';
	return used == 0 ? -1 : 0;
}

/* --- computation --- */

static void exclusive_or(uint8_t *one, const uint8_t *other)
{
	for (size_t i = 0; i < DIGEST_BYTES; i++)
		one[i] ^= other[i];
}

static void keyed_text(const uint8_t *key, const char *text, uint8_t *out)
{
	digest_keyed(key, DIGEST_BYTES, text, strlen(text), out);
}

/* Takes a prepared password. client_key may be null. */
static void derive(struct scram_secret *secret, const char *password,
    uint8_t *client_key)
{
	uint8_t salted[DIGEST_BYTES], key[DIGEST_BYTES];

	digest_stretch(password, secret->salt, secret->salt_length,
	    secret->iterations, salted);
	keyed_text(salted, "Client Key", key);
	digest_of(key, sizeof(key), secret->stored_key);
	keyed_text(salted, "Server Key", secret->server_key);
	if (client_key != NULL)
		memcpy(client_key, key, sizeof(key));
	mem_wipe(salted, sizeof(salted));
	mem_wipe(key, sizeof(key));
}

int scram_secret_make(struct scram_secret *secret, const char *password,
    const void *salt, size_t salt_length, uint32_t iterations)
{
	char prepared[SCRAM_PASSWORD_MAX + 1];

	if (salt_length == 0 || salt_length > SCRAM_SALT_MAX ||
	    iterations < SCRAM_ITERATIONS_MIN ||
	    iterations > SCRAM_ITERATIONS_MAX)
		bug("scram-secret");
	if (scram_prepare(prepared, sizeof(prepared), password) == -1)
		return -1;
	memset(secret, 0, sizeof(*secret));
	memcpy(secret->salt, salt, salt_length);
	secret->salt_length = salt_length;
	secret->iterations = iterations;
	derive(secret, prepared, NULL);
	mem_wipe(prepared, sizeof(prepared));
	return 0;
}

/* --- messages --- */

static bool is_nonce(const char *text)
{
	size_t length = strlen(text);

	if (length == 0 || length > 2 * SCRAM_NONCE_MAX)
		return false;
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~' || *text == ',')
			return false;
	return true;
}

static void make_nonce(char *out, size_t size)
{
	uint8_t bytes[RANDOM_BYTES];

	random_bytes(bytes, sizeof(bytes));
	base64_format(bytes, sizeof(bytes), out, size);
}

/* RFC 5802 5.1: "," and "=" of a name. */
static void add_name(struct buf *out, const char *name)
{
	for (; *name != '\0'; name++) {
		if (*name == ',')
			buf_add_string(out, "=2C");
		else if (*name == '=')
			buf_add_string(out, "=3D");
		else
			buf_add_byte(out, *name);
	}
}

/* The other way; in place. */
static int undo_name(char *name)
{
	char *to = name;

	for (; *name != '\0'; name++) {
		if (*name != '=') {
			*to++ = *name;
			continue;
		}
		if (strncmp(name, "=2C", 3) == 0)
			*to++ = ',';
		else if (strncmp(name, "=3D", 3) == 0)
			*to++ = '=';
		else
			return -1;
		name += 2;
	}
	*to = '\0';
	return 0;
}

static void add_base64(struct buf *out, const void *data, size_t length)
{
	char text[BASE64_LENGTH(BOUND_MAX) + 1];

	base64_format(data, length, text, sizeof(text));
	buf_add_string(out, text);
	mem_wipe(text, sizeof(text));
}

/*
 * A message that came, cut at its commas as it is read. rest points into copy,
 * and is null behind the last attribute.
 */
struct message {
	char	 copy[SCRAM_MESSAGE_MAX + 1];
	char	*rest;
};

static int message_begin(struct message *message, const void *data,
    size_t length)
{
	if (length == 0 || length > SCRAM_MESSAGE_MAX ||
	    memchr(data, '\0', length) != NULL)
		return -1;
	memcpy(message->copy, data, length);
	message->copy[length] = '\0';
	message->rest = message->copy;
	return 0;
}

/* What stands before the next comma; null: nothing is left. */
static char *message_next(struct message *message)
{
	char *word = message->rest;
	char *comma;

	if (word == NULL)
		return NULL;
	comma = strchr(word, ',');
	message->rest = comma == NULL ? NULL : comma + 1;
	if (comma != NULL)
		*comma = '\0';
	return word;
}

/* The value of the next attribute, which must have that letter. */
static char *message_value(struct message *message, char letter)
{
	char *word = message_next(message);

	if (word == NULL || word[0] != letter || word[1] != '=' ||
	    word[2] == '\0')
		return NULL;
	return word + 2;
}

/* RFC 5802 5.1: extensions that nobody must know may follow. */
static bool is_extension(const char *word)
{
	return ((word[0] >= 'a' && word[0] <= 'z') ||
	    (word[0] >= 'A' && word[0] <= 'Z')) && word[0] != 'm' &&
	    word[1] == '=' && word[2] != '\0';
}

static bool ends_well(struct message *message)
{
	const char *word;

	while ((word = message_next(message)) != NULL)
		if (!is_extension(word))
			return false;
	return true;
}

static uint32_t read_iterations(const char *text)
{
	uint32_t value = 0;

	if (*text == '0' || strlen(text) > 9 ||
	    text[strspn(text, "0123456789")] != '\0')
		return 0;
	for (; *text != '\0'; text++)
		value = value * 10 + (uint32_t)(*text - '0');
	return value;
}

/* --- the client --- */

struct scram_client {
	char		 user[SCRAM_NAME_MAX + 1];
	char		 password[SCRAM_PASSWORD_MAX + 1];
	char		 nonce[SCRAM_NONCE_MAX + 1];
	enum scram_binding how;
	uint8_t		 binding[SCRAM_BINDING_MAX];
	size_t		 binding_length;
	struct buf	 spoken;	/* AuthMessage so far */
	uint8_t		 signature[DIGEST_BYTES];	/* the server must
							 * have */
};

static const char *client_header(const struct scram_client *client)
{
	switch (client->how) {
	case SCRAM_BINDING_NONE:
		return "n,,";
	case SCRAM_BINDING_UNOFFERED:
		return "y,,";
	case SCRAM_BINDING_USED:
		return "p=tls-exporter,,";
	default:
		bug("scram-binding");
	}
}

struct scram_client *scram_client_new(const char *user, const char *password,
    enum scram_binding how, const void *binding, size_t binding_length)
{
	struct scram_client *client = mem_alloc(sizeof(*client));

	if (binding_length > SCRAM_BINDING_MAX ||
	    (how == SCRAM_BINDING_USED) != (binding_length > 0))
		bug("scram-binding");
	if (scram_prepare(client->user, sizeof(client->user), user) == -1 ||
	    scram_prepare(client->password, sizeof(client->password),
	    password) == -1) {
		scram_client_free(client);
		return NULL;
	}
	client->how = how;
	if (binding_length > 0)
		memcpy(client->binding, binding, binding_length);
	client->binding_length = binding_length;
	buf_init(&client->spoken, SPOKEN_MAX);
	make_nonce(client->nonce, sizeof(client->nonce));
	return client;
}

void scram_client_free(struct scram_client *client)
{
	if (client == NULL)
		return;
	buf_wipe(&client->spoken);
	mem_wipe(client, sizeof(*client));
	mem_free(client);
}

void scram_client_set_nonce(struct scram_client *client, const char *nonce)
{
	snprintf(client->nonce, sizeof(client->nonce), "%s", nonce);
}

void scram_client_first(struct scram_client *client, struct buf *out)
{
	struct buf *spoken = &client->spoken;

	buf_add_string(spoken, "n=");
	add_name(spoken, client->user);
	buf_add_string(spoken, ",r=");
	buf_add_string(spoken, client->nonce);
	buf_add_string(out, client_header(client));
	buf_add(out, buf_data(spoken), buf_length(spoken));
}

/* RFC 5802 7: the nonce begins with ours and goes on. */
static enum scram_result read_challenge(struct scram_client *client,
    struct message *message, struct scram_secret *secret, const char **nonce)
{
	size_t ours = strlen(client->nonce);
	const char *salt, *iterations;
	int length;

	*nonce = message_value(message, 'r');
	salt = message_value(message, 's');
	iterations = message_value(message, 'i');
	if (*nonce == NULL || salt == NULL || iterations == NULL ||
	    !ends_well(message) || !is_nonce(*nonce))
		return SCRAM_MALFORMED;
	memset(secret, 0, sizeof(*secret));
	length = base64_parse(secret->salt, sizeof(secret->salt), salt);
	secret->iterations = read_iterations(iterations);
	if (length <= 0 || secret->iterations == 0)
		return SCRAM_MALFORMED;
	secret->salt_length = (size_t)length;
	if (strncmp(*nonce, client->nonce, ours) != 0 ||
	    (*nonce)[ours] == '\0' ||
	    secret->iterations < SCRAM_ITERATIONS_MIN ||
	    secret->iterations > SCRAM_ITERATIONS_MAX)
		return SCRAM_REFUSED;
	return SCRAM_OK;
}

/* "c=BINDING,r=NONCE", which is a part of what is proven. */
static void add_binding(const struct scram_client *client, const char *nonce,
    struct buf *out)
{
	const char *header = client_header(client);
	uint8_t bound[BOUND_MAX];
	size_t length = strlen(header);

	memcpy(bound, header, length);
	memcpy(bound + length, client->binding, client->binding_length);
	buf_add_string(out, "c=");
	add_base64(out, bound, length + client->binding_length);
	buf_print(out, ",r=%s", nonce);
}

static void prove(struct scram_client *client, struct scram_secret *secret,
    struct buf *out)
{
	const struct buf *spoken = &client->spoken;
	uint8_t proof[DIGEST_BYTES], signature[DIGEST_BYTES];

	derive(secret, client->password, proof);
	digest_keyed(secret->stored_key, DIGEST_BYTES, buf_data(spoken),
	    buf_length(spoken), signature);
	exclusive_or(proof, signature);
	digest_keyed(secret->server_key, DIGEST_BYTES, buf_data(spoken),
	    buf_length(spoken), client->signature);
	buf_add_string(out, ",p=");
	add_base64(out, proof, sizeof(proof));
	mem_wipe(proof, sizeof(proof));
	mem_wipe(secret, sizeof(*secret));
}

enum scram_result scram_client_final(struct scram_client *client,
    const void *challenge, size_t length, struct buf *out)
{
	struct scram_secret secret;
	struct message message;
	enum scram_result result;
	const char *nonce;
	size_t from;

	if (message_begin(&message, challenge, length) == -1)
		return SCRAM_MALFORMED;
	result = read_challenge(client, &message, &secret, &nonce);
	if (result != SCRAM_OK)
		return result;
	buf_add_byte(&client->spoken, ',');
	buf_add(&client->spoken, challenge, length);
	buf_add_byte(&client->spoken, ',');
	from = buf_length(&client->spoken);
	add_binding(client, nonce, &client->spoken);
	buf_add(out, buf_data(&client->spoken) + from,
	    buf_length(&client->spoken) - from);
	prove(client, &secret, out);
	return SCRAM_OK;
}

enum scram_result scram_client_verify(const struct scram_client *client,
    const void *data, size_t length)
{
	uint8_t signature[DIGEST_BYTES + 1];
	struct message message;
	const char *word;

	if (message_begin(&message, data, length) == -1)
		return SCRAM_MALFORMED;
	word = message_next(&message);
	if (strncmp(word, "e=", 2) == 0)
		return SCRAM_REFUSED;
	if (strncmp(word, "v=", 2) != 0 || !ends_well(&message) ||
	    base64_parse(signature, sizeof(signature), word + 2) !=
	    DIGEST_BYTES)
		return SCRAM_MALFORMED;
	return digest_is_equal(signature, client->signature, DIGEST_BYTES) ?
	    SCRAM_OK : SCRAM_REFUSED;
}

/* --- the server --- */

struct scram_server {
	bool		 bound;
	bool		 offered;
	uint8_t		 binding[SCRAM_BINDING_MAX];
	size_t		 binding_length;
	char		 user[SCRAM_NAME_MAX + 1];
	char		 acts_for[SCRAM_NAME_MAX + 1];
	char		 ours[SCRAM_NONCE_MAX + 1];
	char		 nonce[2 * SCRAM_NONCE_MAX + 1];	/* theirs, ours */
	char		 header[HEADER_MAX];	/* "n,," */
	struct buf	 spoken;	/* AuthMessage so far */
	struct scram_secret secret;
};

struct scram_server *scram_server_new(bool bound, bool offered,
    const void *binding, size_t binding_length)
{
	struct scram_server *server = mem_alloc(sizeof(*server));

	if (binding_length > SCRAM_BINDING_MAX)
		bug("scram-binding");
	server->bound = bound;
	server->offered = offered;
	if (binding_length > 0)
		memcpy(server->binding, binding, binding_length);
	server->binding_length = binding_length;
	buf_init(&server->spoken, SPOKEN_MAX);
	make_nonce(server->ours, sizeof(server->ours));
	return server;
}

void scram_server_free(struct scram_server *server)
{
	if (server == NULL)
		return;
	buf_wipe(&server->spoken);
	mem_wipe(server, sizeof(*server));
	mem_free(server);
}

void scram_server_set_nonce(struct scram_server *server, const char *nonce)
{
	snprintf(server->ours, sizeof(server->ours), "%s", nonce);
}

/* The first word of a client: "n", "y" or "p=tls-exporter". */
static enum scram_result read_flag(const struct scram_server *server,
    const char *flag)
{
	if (strncmp(flag, "p=", 2) == 0 && flag[2] != '\0')
		return server->bound && server->binding_length > 0 &&
		    strcmp(flag + 2, binding_name) == 0 ? SCRAM_OK :
		    SCRAM_REFUSED;
	if (strcmp(flag, "n") == 0)
		return server->bound ? SCRAM_REFUSED : SCRAM_OK;
	/* RFC 5802 6: we did show -PLUS, and somebody took it away. */
	if (strcmp(flag, "y") == 0)
		return server->bound || server->offered ? SCRAM_REFUSED :
		    SCRAM_OK;
	return SCRAM_MALFORMED;
}

static int read_name(char *out, size_t size, char *word)
{
	if (undo_name(word) == -1)
		return -1;
	return scram_prepare(out, size, word);
}

enum scram_result scram_server_first(struct scram_server *server,
    const void *data, size_t length)
{
	struct message message;
	enum scram_result flag;
	char *word, *nonce;
	size_t bare;

	if (message_begin(&message, data, length) == -1)
		return SCRAM_MALFORMED;
	flag = read_flag(server, message_next(&message));
	word = message_next(&message);
	if (flag == SCRAM_MALFORMED || word == NULL || message.rest == NULL)
		return SCRAM_MALFORMED;
	if (*word != '\0' && (strncmp(word, "a=", 2) != 0 ||
	    read_name(server->acts_for, sizeof(server->acts_for),
	    word + 2) == -1))
		return SCRAM_MALFORMED;
	bare = (size_t)(message.rest - message.copy);
	word = message_value(&message, 'n');
	nonce = message_value(&message, 'r');
	if (word == NULL || nonce == NULL || !ends_well(&message) ||
	    !is_nonce(nonce) || strlen(nonce) > SCRAM_NONCE_MAX ||
	    bare > sizeof(server->header) ||
	    read_name(server->user, sizeof(server->user), word) == -1)
		return SCRAM_MALFORMED;
	snprintf(server->nonce, sizeof(server->nonce), "%s%s", nonce,
	    server->ours);
	memcpy(server->header, data, bare);
	server->header[bare - 1] = '\0';	/* its last comma is known */
	buf_add(&server->spoken, (const char *)data + bare, length - bare);
	return flag;
}

const char *scram_server_user(const struct scram_server *server)
{
	return server->user;
}

const char *scram_server_acts_for(const struct scram_server *server)
{
	return server->acts_for;
}

void scram_server_challenge(struct scram_server *server,
    const struct scram_secret *secret, struct buf *out)
{
	struct buf *spoken = &server->spoken;
	size_t from;

	server->secret = *secret;
	buf_add_byte(spoken, ',');
	from = buf_length(spoken);
	buf_print(spoken, "r=%s,s=", server->nonce);
	add_base64(spoken, secret->salt, secret->salt_length);
	buf_print(spoken, ",i=%u", (unsigned)secret->iterations);
	buf_add(out, buf_data(spoken) + from, buf_length(spoken) - from);
}

/* Is it, decoded, our header and the binding of this very session? */
static enum scram_result check_binding(const struct scram_server *server,
    const char *text)
{
	uint8_t said[BOUND_MAX + 3], wanted[BOUND_MAX];
	size_t length = strlen(server->header);
	int got = base64_parse(said, sizeof(said), text);

	if (got == -1)
		return SCRAM_MALFORMED;
	memcpy(wanted, server->header, length);
	wanted[length++] = ',';
	if (server->bound) {
		memcpy(wanted + length, server->binding,
		    server->binding_length);
		length += server->binding_length;
	}
	return (size_t)got == length &&
	    digest_is_equal(said, wanted, length) ? SCRAM_OK : SCRAM_REFUSED;
}

/* "c=,r=[,extensions],p=": the proof is last. said: bytes before ",p=". */
static enum scram_result read_final(const struct scram_server *server,
    struct message *message, uint8_t *proof, size_t *said)
{
	char *last = strrchr(message->copy, ',');
	uint8_t bytes[DIGEST_BYTES + 1];
	enum scram_result result;
	const char *binding, *nonce;

	if (last == NULL || strncmp(last, ",p=", 3) != 0 ||
	    base64_parse(bytes, sizeof(bytes), last + 3) != DIGEST_BYTES)
		return SCRAM_MALFORMED;
	memcpy(proof, bytes, DIGEST_BYTES);
	*last = '\0';
	*said = (size_t)(last - message->copy);
	binding = message_value(message, 'c');
	nonce = message_value(message, 'r');
	if (binding == NULL || nonce == NULL || !ends_well(message))
		return SCRAM_MALFORMED;
	result = check_binding(server, binding);
	if (result != SCRAM_OK)
		return result;
	return strcmp(nonce, server->nonce) == 0 ? SCRAM_OK : SCRAM_REFUSED;
}

static bool is_proven(const struct scram_server *server, uint8_t *proof)
{
	const struct buf *spoken = &server->spoken;
	uint8_t key[DIGEST_BYTES];

	digest_keyed(server->secret.stored_key, DIGEST_BYTES,
	    buf_data(spoken), buf_length(spoken), key);
	exclusive_or(proof, key);
	digest_of(proof, DIGEST_BYTES, key);
	return digest_is_equal(key, server->secret.stored_key, DIGEST_BYTES);
}

enum scram_result scram_server_final(struct scram_server *server,
    const void *data, size_t length, struct buf *out)
{
	uint8_t proof[DIGEST_BYTES], signature[DIGEST_BYTES];
	struct message message;
	enum scram_result result;
	size_t said;

	if (message_begin(&message, data, length) == -1)
		return SCRAM_MALFORMED;
	result = read_final(server, &message, proof, &said);
	if (result == SCRAM_MALFORMED)
		return result;
	buf_add_byte(&server->spoken, ',');
	buf_add(&server->spoken, data, said);
	if (!is_proven(server, proof))
		result = SCRAM_REFUSED;
	mem_wipe(proof, sizeof(proof));
	if (result != SCRAM_OK)
		return result;
	digest_keyed(server->secret.server_key, DIGEST_BYTES,
	    buf_data(&server->spoken), buf_length(&server->spoken), signature);
	buf_add_string(out, "v=");
	add_base64(out, signature, sizeof(signature));
	return SCRAM_OK;
}
