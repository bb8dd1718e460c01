/* SPDX-License-Identifier: ISC */
/*
 * The mechanisms as a table. An exchange is a count of what was said so far;
 * each mechanism knows what comes next, and what is too much.
 */
#include "delivery/sasl.h"

#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/scram.h"
#include "base/words.h"
#include "delivery/credentials.h"

struct sasl {
	enum sasl_mechanism		 mechanism;
	const struct credentials	*credentials;	/* borrowed; or null */
	struct scram_client		*scram;		/* owned; or null */
	unsigned			 said;		/* messages of ours */
	bool				 proven;	/* the server is */
};

static const struct mechanism {
	const char	*name;
	bool		 needs_credentials;
	bool		 needs_binding;
	bool		 needs_certificate;
} mechanisms[SASL_MECHANISMS] = {
	[SASL_SCRAM_SHA_256_PLUS] = { "SCRAM-SHA-256-PLUS", true, true,
	    false },
	[SASL_SCRAM_SHA_256] = { "SCRAM-SHA-256", true, false, false },
	[SASL_PLAIN] = { "PLAIN", true, false, false },
	[SASL_LOGIN] = { "LOGIN", true, false, false },
	[SASL_EXTERNAL] = { "EXTERNAL", false, false, true },
};

const char *sasl_name(enum sasl_mechanism mechanism)
{
	return mechanism < SASL_MECHANISMS ? mechanisms[mechanism].name : "";
}

bool sasl_is_offered(enum sasl_mechanism mechanism, const char *offered)
{
	return words_contain(offered, mechanisms[mechanism].name);
}

static bool has_means(enum sasl_mechanism mechanism,
    const struct sasl_means *means)
{
	const struct mechanism *one = &mechanisms[mechanism];

	if (one->needs_credentials != (means->credentials != NULL))
		return false;
	if (one->needs_binding && means->binding_length == 0)
		return false;
	return !one->needs_certificate || means->certificate;
}

enum sasl_mechanism sasl_choose(const struct sasl_means *means,
    const char *offered, unsigned refused)
{
	int i;

	for (i = 0; i < SASL_MECHANISMS; i++)
		if ((refused & (1u << i)) == 0 &&
		    has_means((enum sasl_mechanism)i, means) &&
		    sasl_is_offered((enum sasl_mechanism)i, offered))
			break;
	return (enum sasl_mechanism)i;
}

/* RFC 5802 6: "y" tells a server that shows -PLUS that somebody took it out of
 * what we saw. */
static enum scram_binding binding_of(enum sasl_mechanism mechanism,
    const struct sasl_means *means, const char *offered)
{
	if (mechanism == SASL_SCRAM_SHA_256_PLUS)
		return SCRAM_BINDING_USED;
	if (means->binding_length == 0 ||
	    sasl_is_offered(SASL_SCRAM_SHA_256_PLUS, offered))
		return SCRAM_BINDING_NONE;
	return SCRAM_BINDING_UNOFFERED;
}

struct sasl *sasl_new(enum sasl_mechanism mechanism,
    const struct sasl_means *means, const char *offered)
{
	struct sasl *sasl = mem_alloc(sizeof(*sasl));
	bool plus = mechanism == SASL_SCRAM_SHA_256_PLUS;

	sasl->mechanism = mechanism;
	sasl->credentials = means->credentials;
	if (!plus && mechanism != SASL_SCRAM_SHA_256)
		return sasl;
	sasl->scram = scram_client_new(means->credentials->user,
	    means->credentials->password, binding_of(mechanism, means,
	    offered), plus ? means->binding : NULL,
	    plus ? means->binding_length : 0);
	/* credentials_read() has tried that. */
	if (sasl->scram == NULL)
		bug("sasl-credentials");
	return sasl;
}

void sasl_free(struct sasl *sasl)
{
	if (sasl == NULL)
		return;
	scram_client_free(sasl->scram);
	mem_free(sasl);
}

/* RFC 4616 2: nobody else to act for. */
static void say_plain(struct sasl *sasl, struct buf *out)
{
	buf_add_byte(out, '\0');
	buf_add_string(out, sasl->credentials->user);
	buf_add_byte(out, '\0');
	buf_add_string(out, sasl->credentials->password);
}

bool sasl_begin(struct sasl *sasl, struct buf *out)
{
	switch (sasl->mechanism) {
	case SASL_SCRAM_SHA_256_PLUS:
	case SASL_SCRAM_SHA_256:
		scram_client_first(sasl->scram, out);
		break;
	case SASL_PLAIN:
		say_plain(sasl, out);
		break;
	case SASL_EXTERNAL:	/* RFC 4422 A.1: whoever the certificate says */
		break;
	case SASL_LOGIN:
		return false;
	default:
		bug("sasl-mechanism");
	}
	sasl->said++;
	return true;
}

/* Whatever the prompts are: nobody ever agreed on their words. */
static enum sasl_result go_on_login(struct sasl *sasl, struct buf *out)
{
	switch (sasl->said++) {
	case 0: buf_add_string(out, sasl->credentials->user); break;
	case 1: buf_add_string(out, sasl->credentials->password); break;
	default: return SASL_ODD;
	}
	return SASL_OK;
}

static enum sasl_result go_on_scram(struct sasl *sasl, const void *challenge,
    size_t length, struct buf *out)
{
	enum scram_result result = SCRAM_MALFORMED;

	switch (sasl->said++) {
	case 1:
		result = scram_client_final(sasl->scram, challenge, length,
		    out);
		break;
	case 2:			/* the answer to it is an empty one */
		result = scram_client_verify(sasl->scram, challenge, length);
		sasl->proven = result == SCRAM_OK;
		break;
	}
	if (result == SCRAM_REFUSED)
		return SASL_FALSE_SERVER;
	return result == SCRAM_OK ? SASL_OK : SASL_ODD;
}

enum sasl_result sasl_go_on(struct sasl *sasl, const void *challenge,
    size_t length, struct buf *out)
{
	if (sasl->scram != NULL)
		return go_on_scram(sasl, challenge, length, out);
	return sasl->mechanism == SASL_LOGIN ? go_on_login(sasl, out) :
	    SASL_ODD;
}

enum sasl_result sasl_end(const struct sasl *sasl)
{
	return sasl->scram != NULL && !sasl->proven ? SASL_FALSE_SERVER :
	    SASL_OK;
}
