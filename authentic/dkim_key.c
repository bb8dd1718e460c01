/* SPDX-License-Identifier: ISC */
/*
 * The file of private keys, read strictly: a key that signs wrongly is worse
 * than one that is not there. Every copy of a key that is made on the way is
 * wiped.
 */
#include "authentic/dkim_key.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "authentic/dkim_record.h"
#include "authentic/dkim_signature.h"
#include "base/address.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"

/* A key of 4096 bits in base64 has about 3200 bytes. */
enum { WORDS = 7, KEY_TEXT_MAX = 8192, ERRORS_MAX_BYTES = 8192,
    RSA_BITS_MADE = 2048, RSA_BITS_MIN = 1024, RSA_BITS_MAX = 4096,
    ED25519_BYTES = 32, NAME_MAX_BYTES = 253 };

static const char *const state_names[] = { "waiting", "active", "retired" };
static const char *const algorithm_names[] = { "rsa", "ed25519" };

const char *dkim_state_name(enum dkim_state state)
{
	return state_names[state];
}

const char *dkim_algorithm_name(enum dkim_algorithm algorithm)
{
	return algorithm_names[algorithm];
}

/* --- the list --- */

static void release_key(struct dkim_key *key)
{
	mem_free(key->domain);
	mem_free(key->selector);
	EVP_PKEY_free(key->key);
	memset(key, 0, sizeof(*key));
}

void dkim_keys_free(struct dkim_keys *keys)
{
	if (keys == NULL)
		return;
	for (size_t i = 0; i < keys->count; i++)
		release_key(&keys->items[i]);
	mem_free(keys->items);
	mem_free(keys);
}

void dkim_keys_remove(struct dkim_keys *keys, size_t index)
{
	release_key(&keys->items[index]);
	keys->count--;
	memmove(&keys->items[index], &keys->items[index + 1],
	    (keys->count - index) * sizeof(*keys->items));
}

/* Takes what the key owns. */
static void add_key(struct dkim_keys *keys, const struct dkim_key *key)
{
	keys->items = mem_resize(keys->items, keys->count + 1,
	    sizeof(*keys->items));
	keys->items[keys->count++] = *key;
}

/* Both keys of a name in the DNS would be at one place (RFC 6376 3.6.2.2). */
static bool has_selector(const struct dkim_keys *keys, const char *domain,
    const char *selector)
{
	for (size_t i = 0; i < keys->count; i++)
		if (strcmp(keys->items[i].domain, domain) == 0 &&
		    strcmp(keys->items[i].selector, selector) == 0)
			return true;
	return false;
}

/* Names as they are kept: lower case, A-labels, no last dot. */
static bool is_name(const char *text, size_t length, size_t max)
{
	char name[ADDRESS_DOMAIN_MAX + 1];

	return length <= max &&
	    domain_parse(name, sizeof(name), text, length) == 0 &&
	    strlen(name) == length && memcmp(name, text, length) == 0;
}

static bool fits_dns(size_t domain_length, size_t selector_length)
{
	return domain_length + selector_length + strlen("._domainkey.") <=
	    NAME_MAX_BYTES;
}

/* --- reading --- */

struct word {
	const char	*text;
	size_t		 length;
};

struct reading {
	const char		*name;
	unsigned		 line;
	struct dkim_keys	*keys;
	struct buf		 errors;
};

static int wrong(struct reading *reading, const char *text)
{
	/* Full: enough has been said. */
	(void)buf_print(&reading->errors, "%s%s:%u: %s",
	    buf_length(&reading->errors) > 0 ? "\n" : "", reading->name,
	    reading->line, text);
	return -1;
}

static bool word_is(const struct word *word, const char *text)
{
	return word->length == strlen(text) &&
	    memcmp(word->text, text, word->length) == 0;
}

/* The place of a word among names, or -1. */
static int find_name(const struct word *word, const char *const *names,
    int count)
{
	for (int i = 0; i < count; i++)
		if (word_is(word, names[i]))
			return i;
	return -1;
}

/* How many words; more than WORDS are not kept. */
static size_t cut(const char *line, size_t length,
    struct word words[static WORDS])
{
	size_t count = 0;

	for (;;) {
		const char *blank = memchr(line, ' ', length);
		size_t part = blank != NULL ? (size_t)(blank - line) : length;

		if (count < WORDS)
			words[count] = (struct word){ line, part };
		count++;
		if (blank == NULL)
			return count;
		line += part + 1;
		length -= part + 1;
	}
}

/* As clock_format_iso() writes it: so it must come out again. */
static int read_date(const struct word *word, int64_t *wall)
{
	char text[24], again[24];
	struct tm utc;

	memset(&utc, 0, sizeof(utc));
	if (word->length >= sizeof(text))
		return -1;
	memcpy(text, word->text, word->length);
	text[word->length] = '\0';
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2dZ", &utc.tm_year, &utc.tm_mon,
	    &utc.tm_mday, &utc.tm_hour, &utc.tm_min, &utc.tm_sec) != 6)
		return -1;
	utc.tm_year -= 1900;
	utc.tm_mon--;
	*wall = (int64_t)timegm(&utc) * 1000;
	clock_format_iso(*wall, again, sizeof(again));
	return strcmp(text, again) == 0 ? 0 : -1;
}

/* PKCS#8, and nothing behind it. Null: not such. */
static EVP_PKEY *read_der(const uint8_t *der, int length)
{
	const unsigned char *at = der;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, length);
	EVP_PKEY *key = NULL;

	if (info != NULL && at == der + length)
		key = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	return key;
}

static EVP_PKEY *read_base64(const struct word *word)
{
	char text[KEY_TEXT_MAX + 1];
	uint8_t der[KEY_TEXT_MAX];
	EVP_PKEY *key = NULL;
	int length;

	if (word->length > KEY_TEXT_MAX)
		return NULL;
	memcpy(text, word->text, word->length);
	text[word->length] = '\0';
	length = base64_parse(der, sizeof(der), text);
	if (length > 0)
		key = read_der(der, length);
	mem_wipe(text, sizeof(text));
	mem_wipe(der, sizeof(der));
	return key;
}

/* Does what it signs verify? Bytes that are damaged may still be a key. */
static bool is_pair(EVP_PKEY *key, enum dkim_algorithm algorithm)
{
	static const uint8_t digest[DIGEST_BYTES];
	uint8_t signature[DKIM_SIGNATURE_MAX];
	int length = dkim_signature_make(algorithm, key, digest, signature);

	return length > 0 && dkim_signature_verifies(algorithm, key, digest,
	    signature, (size_t)length);
}

static const char *judge_key(EVP_PKEY *key, enum dkim_algorithm algorithm)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_get_base_id(key) != (algorithm == DKIM_RSA ?
	    EVP_PKEY_RSA : EVP_PKEY_ED25519))
		return "the key is not of the algorithm in the third word; "
		    "write rsa or ed25519, whichever it is";
	if (algorithm == DKIM_RSA && bits < RSA_BITS_MIN)
		return "the RSA key has less than 1024 bits, which nobody "
		    "accepts; make another with `postern dkim new`";
	if (algorithm == DKIM_RSA && bits > RSA_BITS_MAX)
		return "the RSA key has more than 4096 bits, which others do "
		    "not verify; make another with `postern dkim new`";
	if (!is_pair(key, algorithm))
		return "the key is damaged: what it signs does not "
		    "verify; take it from a backup, or make another with "
		    "`postern dkim new`";
	return NULL;
}

static int read_key(struct reading *reading, const struct word *word,
    struct dkim_key *key)
{
	const char *text;

	key->key = read_base64(word);
	ERR_clear_error();
	if (key->key == NULL)
		return wrong(reading, "the last word is not a private key "
		    "(PKCS#8 in base64); take the line from a backup, or make "
		    "another key with `postern dkim new`");
	text = judge_key(key->key, key->algorithm);
	ERR_clear_error();
	return text != NULL ? wrong(reading, text) : 0;
}

static int read_names(struct reading *reading, const struct word *words,
    struct dkim_key *key)
{
	if (!is_name(words[0].text, words[0].length, ADDRESS_DOMAIN_MAX))
		return wrong(reading, "the first word is not a domain; write "
		    "it in lower case, with xn-- labels and without a last "
		    "dot");
	if (!is_name(words[1].text, words[1].length, DKIM_SELECTOR_MAX))
		return wrong(reading, "the second word is not a selector; "
		    "write up to 63 small letters, digits and hyphens");
	if (!fits_dns(words[0].length, words[1].length))
		return wrong(reading, "selector and domain are too long "
		    "together for a name in the DNS; take a shorter selector");
	key->domain = mem_alloc(words[0].length + 1);
	memcpy(key->domain, words[0].text, words[0].length);
	key->selector = mem_alloc(words[1].length + 1);
	memcpy(key->selector, words[1].text, words[1].length);
	if (has_selector(reading->keys, key->domain, key->selector))
		return wrong(reading, "the domain has that selector in a line "
		    "above; remove one of the two keys, or give it a selector "
		    "of its own");
	return 0;
}

static int read_words(struct reading *reading, const struct word *words,
    struct dkim_key *key)
{
	int algorithm = find_name(&words[2], algorithm_names, 2);
	int state = find_name(&words[3], state_names, 3);

	if (read_names(reading, words, key) == -1)
		return -1;
	if (algorithm == -1)
		return wrong(reading, "the third word is not an algorithm; "
		    "write rsa or ed25519");
	if (state == -1)
		return wrong(reading, "the fourth word is not a state; write "
		    "waiting, active or retired");
	key->algorithm = (enum dkim_algorithm)algorithm;
	key->state = (enum dkim_state)state;
	if (read_date(&words[4], &key->created) == -1 ||
	    read_date(&words[5], &key->changed) == -1)
		return wrong(reading, "the fifth and the sixth word are not "
		    "both dates; write them as 2026-11-22T12:42:06Z");
	return read_key(reading, &words[6], key);
}

static void read_line(struct reading *reading, const char *line,
    size_t length)
{
	struct word words[WORDS];
	struct dkim_key key;

	memset(&key, 0, sizeof(key));
	if (length == 0 || line[0] == '#')
		return;
	if (reading->keys->count == DKIM_KEYS_MAX) {
		wrong(reading, "there are more than 1000 keys; remove retired "
		    "ones");
		return;
	}
	if (cut(line, length, words) != WORDS)
		wrong(reading, "seven words with one blank between are "
		    "expected: DOMAIN SELECTOR ALGORITHM STATE CREATED "
		    "CHANGED KEY; keep the file with `postern dkim`");
	else if (read_words(reading, words, &key) == 0) {
		add_key(reading->keys, &key);
		return;
	}
	release_key(&key);
}

struct dkim_keys *dkim_keys_read(const char *name, const char *text,
    char **errors)
{
	struct reading reading = { .name = name,
	    .keys = mem_alloc(sizeof(*reading.keys)) };

	buf_init(&reading.errors, ERRORS_MAX_BYTES);
	*errors = NULL;
	while (*text != '\0') {
		size_t length = strcspn(text, "\n");

		reading.line++;
		read_line(&reading, text, length);
		text += length + (text[length] == '\n');
	}
	if (buf_length(&reading.errors) == 0) {
		buf_release(&reading.errors);
		return reading.keys;
	}
	*errors = buf_take(&reading.errors);
	dkim_keys_free(reading.keys);
	return NULL;
}

/* --- writing --- */

static int add_base64(struct buf *out, const uint8_t *data, size_t length)
{
	char *place = buf_reserve(out, BASE64_LENGTH(length) + 1);

	if (place == NULL)
		return -1;
	base64_format(data, length, place, BASE64_LENGTH(length) + 1);
	buf_commit(out, BASE64_LENGTH(length));
	return 0;
}

static int print_private(EVP_PKEY *key, struct buf *out)
{
	PKCS8_PRIV_KEY_INFO *info = EVP_PKEY2PKCS8(key);
	unsigned char *der = NULL;
	int length = info != NULL ? i2d_PKCS8_PRIV_KEY_INFO(info, &der) : -1;
	int result = -1;

	if (length > 0) {
		result = add_base64(out, der, (size_t)length);
		OPENSSL_clear_free(der, (size_t)length);
	}
	PKCS8_PRIV_KEY_INFO_free(info);
	ERR_clear_error();
	return result;
}

static int print_key(const struct dkim_key *key, struct buf *out)
{
	char created[24], changed[24];

	clock_format_iso(key->created, created, sizeof(created));
	clock_format_iso(key->changed, changed, sizeof(changed));
	if (buf_print(out, "%s %s %s %s %s %s ", key->domain, key->selector,
	    algorithm_names[key->algorithm], state_names[key->state], created,
	    changed) == -1 || print_private(key->key, out) == -1)
		return -1;
	return buf_add_byte(out, '\n');
}

int dkim_keys_print(const struct dkim_keys *keys, struct buf *out)
{
	for (size_t i = 0; i < keys->count; i++)
		if (print_key(&keys->items[i], out) == -1)
			return -1;
	return 0;
}

static int print_rsa(EVP_PKEY *key, struct buf *out)
{
	unsigned char *der = NULL;
	int length = i2d_PUBKEY(key, &der), result = -1;

	if (length > 0 && buf_add_string(out, "v=DKIM1; k=rsa; p=") == 0)
		result = add_base64(out, der, (size_t)length);
	OPENSSL_free(der);
	return result;
}

static int print_ed25519(EVP_PKEY *key, struct buf *out)
{
	uint8_t bytes[ED25519_BYTES];
	size_t length = sizeof(bytes);

	if (EVP_PKEY_get_raw_public_key(key, bytes, &length) != 1 ||
	    buf_add_string(out, "v=DKIM1; k=ed25519; p=") == -1)
		return -1;
	return add_base64(out, bytes, length);
}

int dkim_key_record(const struct dkim_key *key, struct buf *out)
{
	size_t before = buf_length(out);
	int result = key->algorithm == DKIM_RSA ? print_rsa(key->key, out) :
	    print_ed25519(key->key, out);

	ERR_clear_error();
	if (result == -1)
		buf_truncate(out, before);
	return result;
}

bool dkim_key_is_published(const struct dkim_key *key, const char *record,
    size_t length)
{
	struct dkim_record found;
	bool same;

	if (dkim_record_read(&found, record, length) != NULL)
		return false;
	same = found.algorithm == key->algorithm &&
	    EVP_PKEY_eq(found.key, key->key) == 1;
	dkim_record_release(&found);
	ERR_clear_error();
	return same;
}

/* --- making and choosing --- */

int dkim_keys_make(struct dkim_keys *keys, const char *domain,
    const char *selector, enum dkim_algorithm algorithm, int64_t wall)
{
	struct dkim_key key = { .algorithm = algorithm, .state = DKIM_WAITING,
	    .created = wall, .changed = wall };

	if (keys->count >= DKIM_KEYS_MAX ||
	    !is_name(domain, strlen(domain), ADDRESS_DOMAIN_MAX) ||
	    !is_name(selector, strlen(selector), DKIM_SELECTOR_MAX) ||
	    !fits_dns(strlen(domain), strlen(selector)) ||
	    has_selector(keys, domain, selector))
		return -1;
	key.key = algorithm == DKIM_RSA ?
	    EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)RSA_BITS_MADE) :
	    EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	ERR_clear_error();
	if (key.key == NULL)
		return -1;
	key.domain = mem_dup_string(domain);
	key.selector = mem_dup_string(selector);
	add_key(keys, &key);
	return 0;
}

/* Of exactly that domain; any algorithm, or the one. */
static const struct dkim_key *find_active(const struct dkim_keys *keys,
    const char *domain, const enum dkim_algorithm *algorithm)
{
	const struct dkim_key *found = NULL;

	for (size_t i = 0; i < keys->count; i++) {
		const struct dkim_key *key = &keys->items[i];

		if (key->state == DKIM_ACTIVE &&
		    (algorithm == NULL || key->algorithm == *algorithm) &&
		    strcasecmp(key->domain, domain) == 0 &&
		    (found == NULL || key->changed >= found->changed))
			found = key;
	}
	return found;
}

const struct dkim_key *dkim_keys_active(const struct dkim_keys *keys,
    const char *domain, enum dkim_algorithm algorithm)
{
	while (find_active(keys, domain, NULL) == NULL) {
		domain = strchr(domain, '.');
		if (domain == NULL)
			return NULL;
		domain++;
	}
	return find_active(keys, domain, &algorithm);
}
