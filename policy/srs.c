/* SPDX-License-Identifier: ISC */
/*
 * Writing and reading rewritten senders: see srs.h. What is read comes from
 * anybody: nothing of it is believed before the hash is.
 */
#include "policy/srs.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"

enum { HASH_LENGTH = 4, DAYS = 1024, DAY_MS = 86400000, SECRETS_MAX = 16,
    SECRET_MIN = 8, TAG_LENGTH = 5, STAMP_LENGTH = 2,
    /* What is hashed: day, domain and local part, or host and the rest. */
    HASHED_MAX = ADDRESS_DOMAIN_MAX + ADDRESS_LOCAL_MAX * 2 + 8 };

static const char day_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

struct srs {
	char	*domain;			/* owned */
	char	*secrets[SECRETS_MAX];		/* owned; wiped */
	size_t	 secret_count;
};

void srs_free(struct srs *srs)
{
	if (srs == NULL)
		return;
	for (size_t i = 0; i < srs->secret_count; i++)
		mem_free_secret(srs->secrets[i]);
	mem_free(srs->domain);
	mem_free(srs);
}

const char *srs_domain(const struct srs *srs)
{
	return srs->domain;
}

/* -1, with the reason, when it cannot be one. */
static int add_secret(struct srs *srs, const char *line, size_t length,
    char *error, size_t size)
{
	char *secret;

	while (length > 0 && isspace((unsigned char)line[length - 1]))
		length--;
	if (length == 0 || line[0] == '#')
		return 0;
	if (length < SECRET_MIN || srs->secret_count == SECRETS_MAX) {
		snprintf(error, size, length < SECRET_MIN ?
		    "a secret has less than %d characters" :
		    "there are more than %d secrets", length < SECRET_MIN ?
		    SECRET_MIN : SECRETS_MAX);
		return -1;
	}
	secret = mem_alloc(length + 1);
	memcpy(secret, line, length);
	srs->secrets[srs->secret_count++] = secret;
	return 0;
}

struct srs *srs_new(const char *domain, const char *secrets, size_t length,
    char *error, size_t size)
{
	struct srs *srs = mem_alloc(sizeof(*srs));
	const char *end = secrets + length, *newline;

	srs->domain = mem_dup_string(domain);
	for (; secrets < end; secrets = newline + 1) {
		newline = memchr(secrets, '\n', (size_t)(end - secrets));
		if (newline == NULL)
			newline = end;
		if (add_secret(srs, secrets, (size_t)(newline - secrets),
		    error, size) == -1) {
			srs_free(srs);
			return NULL;
		}
	}
	if (srs->secret_count > 0)
		return srs;
	snprintf(error, size, "there is no secret in it; one a line is "
	    "expected, such as `openssl rand -base64 18` makes");
	srs_free(srs);
	return NULL;
}

const char *srs_error_text(enum srs_error error)
{
	static const char *const texts[] = {
		[SRS_OK] = "a rewritten sender of ours",
		[SRS_MALFORMED] = "not a rewritten sender, only like one",
		[SRS_FORGED] = "a rewritten sender that is not of our making",
		[SRS_EXPIRED] = "a rewritten sender that is too old",
		[SRS_TOO_LONG] = "too long to be rewritten",
	};

	if ((size_t)error >= sizeof(texts) / sizeof(texts[0]))
		bug("unknown-srs-error");
	return texts[error];
}

static bool is_tagged(const char *local, char digit)
{
	return strncasecmp(local, "SRS", 3) == 0 && local[3] == digit &&
	    local[4] != '\0' && strchr("=+-", local[4]) != NULL;
}

bool srs_is_rewritten(const char *local)
{
	return is_tagged(local, '0') || is_tagged(local, '1');
}

/* The pieces one behind the other, in lower case, as all others hash them. */
static void hash(const char *secret, const char *const pieces[3],
    char out[BASE64_LENGTH(DIGEST_SHA1_BYTES) + 1])
{
	uint8_t digest[DIGEST_SHA1_BYTES];
	char text[HASHED_MAX + 1];
	int length = snprintf(text, sizeof(text), "%s%s%s", pieces[0],
	    pieces[1], pieces[2]);

	if (length < 0 || (size_t)length >= sizeof(text))
		bug("srs-length");
	for (char *byte = text; *byte != '\0'; byte++)
		*byte = (char)(*byte >= 'A' && *byte <= 'Z' ?
		    *byte - 'A' + 'a' : *byte);
	digest_keyed_sha1(secret, strlen(secret), text, (size_t)length,
	    digest);
	base64_format(digest, sizeof(digest), out,
	    BASE64_LENGTH(DIGEST_SHA1_BYTES) + 1);
}

/* Without regard to case; takes as long whichever letter is another. */
static bool is_same(const char *given, const char *made, size_t length)
{
	unsigned different = 0;

	for (size_t i = 0; i < length; i++)
		different |= (unsigned)(tolower((unsigned char)given[i]) ^
		    tolower((unsigned char)made[i]));
	return different == 0;
}

/* Others may have made longer hashes with our secret: all of it counts. */
static bool is_signed(const struct srs *srs, const char *given, size_t length,
    const char *const pieces[3])
{
	char true_hash[BASE64_LENGTH(DIGEST_SHA1_BYTES) + 1];
	bool found = false;

	if (length < HASH_LENGTH || length >= sizeof(true_hash) - 1)
		return false;
	for (size_t i = 0; i < srs->secret_count; i++) {
		hash(srs->secrets[i], pieces, true_hash);
		found |= is_same(given, true_hash, length);
	}
	return found;
}

static enum srs_error set(struct address *out, const char *domain,
    const char *first, const char *hashed, const char *rest)
{
	int length = snprintf(out->local, sizeof(out->local), "%s%.*s%s",
	    first, HASH_LENGTH, hashed, rest);

	snprintf(out->domain, sizeof(out->domain), "%s", domain);
	return length > 0 && (size_t)length < sizeof(out->local) ? SRS_OK :
	    SRS_TOO_LONG;
}

/* A sender that nobody has rewritten. */
static enum srs_error forward_first(const struct srs *srs,
    const struct address *sender, int64_t wall_ms, struct address *out)
{
	unsigned day = (unsigned)(wall_ms / DAY_MS % DAYS);
	char stamp[STAMP_LENGTH + 1] = { day_digits[day >> 5],
	    day_digits[day & 31], '\0' };
	char hashed[BASE64_LENGTH(DIGEST_SHA1_BYTES) + 1];
	char rest[HASHED_MAX + 8];

	hash(srs->secrets[0], (const char *const [3]){ stamp, sender->domain,
	    sender->local }, hashed);
	snprintf(rest, sizeof(rest), "=%s=%s=%s", stamp, sender->domain,
	    sender->local);
	return set(out, srs->domain, "SRS0=", hashed, rest);
}

/* One that another host did: the first such host and its address stay, and
 * whoever stood between is left out. */
static enum srs_error forward_again(const struct srs *srs, const char *host,
    const char *address, struct address *out)
{
	char hashed[BASE64_LENGTH(DIGEST_SHA1_BYTES) + 1];
	char rest[HASHED_MAX + 8];

	hash(srs->secrets[0], (const char *const [3]){ host, address, "" },
	    hashed);
	snprintf(rest, sizeof(rest), "=%s=%s", host, address);
	return set(out, srs->domain, "SRS1=", hashed, rest);
}

/* Cuts text at the first '='; null if there is none. */
static char *cut(char *text)
{
	char *separator = strchr(text, '=');

	if (separator == NULL)
		return NULL;
	*separator = '\0';
	return separator + 1;
}

enum srs_error srs_forward(const struct srs *srs, const struct address *sender,
    int64_t wall_ms, struct address *out)
{
	char local[sizeof(sender->local)];
	char *host, *rest;

	memset(out, 0, sizeof(*out));
	if (is_tagged(sender->local, '0'))
		return forward_again(srs, sender->domain, sender->local +
		    TAG_LENGTH - 1, out);
	if (!is_tagged(sender->local, '1'))
		return forward_first(srs, sender, wall_ms, out);
	memcpy(local, sender->local, sizeof(local));
	host = cut(local + TAG_LENGTH);
	rest = host == NULL ? NULL : cut(host);
	if (rest == NULL)
		return forward_first(srs, sender, wall_ms, out);
	return forward_again(srs, host, rest, out);
}

static int digit_value(char digit)
{
	const char *found = digit == '\0' ? NULL :
	    strchr(day_digits, toupper((unsigned char)digit));

	return found == NULL ? -1 : (int)(found - day_digits);
}

static bool is_fresh(const char *stamp, int64_t wall_ms)
{
	int day = digit_value(stamp[0]) << 5 | digit_value(stamp[1]);
	int today = (int)(wall_ms / DAY_MS % DAYS);

	return (today - day + DAYS) % DAYS <= SRS_DAYS;
}

/* What we read must be an address, since we are going to send to it. */
static enum srs_error take(struct address *out, const char *local,
    const char *domain)
{
	struct address checked;
	char text[ADDRESS_MAX + 1];

	if (local[0] == '\0' || strlen(local) >= sizeof(out->local) ||
	    strlen(domain) >= sizeof(out->domain))
		return SRS_MALFORMED;
	memcpy(out->local, local, strlen(local) + 1);
	memcpy(out->domain, domain, strlen(domain) + 1);
	address_format(out, text, sizeof(text));
	if (address_parse(&checked, text) != ADDRESS_OK)
		return SRS_MALFORMED;
	*out = checked;
	return SRS_OK;
}

/* "HHHH=TT=domain=local" */
static enum srs_error reverse_first(const struct srs *srs, char *text,
    int64_t wall_ms, struct address *out)
{
	char *stamp = cut(text), *domain, *local;

	domain = stamp == NULL ? NULL : cut(stamp);
	local = domain == NULL ? NULL : cut(domain);
	if (local == NULL || strlen(stamp) != STAMP_LENGTH ||
	    digit_value(stamp[0]) < 0 || digit_value(stamp[1]) < 0)
		return SRS_MALFORMED;
	if (!is_signed(srs, text, strlen(text),
	    (const char *const [3]){ stamp, domain, local }))
		return SRS_FORGED;
	if (!is_fresh(stamp, wall_ms))
		return SRS_EXPIRED;
	return take(out, local, domain);
}

/* "HHHH=host==HHHH=TT=domain=local": the host knows what the rest means. */
static enum srs_error reverse_again(const struct srs *srs, char *text,
    struct address *out)
{
	char *host = cut(text), *rest;
	char local[sizeof(out->local) + 4];

	rest = host == NULL ? NULL : cut(host);
	if (rest == NULL || strchr("=+-", rest[0]) == NULL || rest[0] == '\0')
		return SRS_MALFORMED;
	if (!is_signed(srs, text, strlen(text),
	    (const char *const [3]){ host, rest, "" }))
		return SRS_FORGED;
	snprintf(local, sizeof(local), "SRS0%s", rest);
	return take(out, local, host);
}

enum srs_error srs_reverse(const struct srs *srs,
    const struct address *rewritten, int64_t wall_ms, struct address *out)
{
	char local[sizeof(rewritten->local)];
	enum srs_error error = SRS_MALFORMED;

	memset(out, 0, sizeof(*out));
	memcpy(local, rewritten->local, sizeof(local));
	if (is_tagged(local, '0'))
		error = reverse_first(srs, local + TAG_LENGTH, wall_ms, out);
	else if (is_tagged(local, '1'))
		error = reverse_again(srs, local + TAG_LENGTH, out);
	if (error != SRS_OK)
		memset(out, 0, sizeof(*out));
	return error;
}
