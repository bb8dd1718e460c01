/* SPDX-License-Identifier: ISC */
/*
 * The same functions that the roles load them with, called early.
 */
#include "tools/certificates.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "authentic/dkim_key.h"
#include "base/mem.h"
#include "base/tls.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/anchor.h"
#include "smtpd/certificates.h"
#include "tools/published.h"

static int check_trust(const struct conf *conf, const struct bundle *bundle,
    char **errors)
{
	const struct bundle_file *file = bundle_file(bundle, conf->trust_file);
	struct tls_client *client;
	char error[256];

	if (file == NULL)
		return 0;
	client = tls_client_new(TLS_CHECK_NAME, file->contents, error,
	    sizeof(error));
	tls_client_free(client);
	if (client != NULL)
		return 0;
	*errors = mem_print("trust-file %s: %s; it needs the certificates of "
	    "authorities in PEM form", conf->trust_file, error);
	return -1;
}

/* A line of a zone file whose third or fourth word is the type of a key. */
static bool is_key_line(const char *line)
{
	char words[4][64] = { "", "", "", "" };
	int count = sscanf(line, "%63s %63s %63s %63s", words[0], words[1],
	    words[2], words[3]);

	for (int i = 1; i < count; i++)
		if (strcasecmp(words[i], "DNSKEY") == 0 ||
		    strcasecmp(words[i], "DS") == 0)
			return true;
	return false;
}

/* Keys of other names than the root's are for those who have such zones. */
static bool has_only_keys(const char *text)
{
	char *copy = mem_dup_string(text), *rest = copy, *line;
	bool right = true;

	while (right && (line = strsep(&rest, "\n")) != NULL) {
		line += strspn(line, " \t\r");
		right = *line == '\0' || *line == ';' || *line == '#' ||
		    is_key_line(line);
	}
	mem_free(copy);
	return right;
}

static int check_anchor(const struct conf *conf, const struct bundle *bundle,
    char **errors)
{
	const struct bundle_file *file = conf->trust_anchor_file == NULL ?
	    NULL : bundle_file(bundle, conf->trust_anchor_file);
	char why[200];

	if (file == NULL || anchor_check(file->contents, why,
	    sizeof(why)) == 0 || has_only_keys(file->contents))
		return 0;
	*errors = mem_print("trust-anchor-file %s: %s; it needs DNSKEY or DS "
	    "records of the root, one a line", conf->trust_anchor_file, why);
	return -1;
}

/* The list that `postern relay` keeps. */
static int check_clients(const struct conf *conf, const struct bundle *bundle,
    char **errors)
{
	const struct bundle_file *file = bundle_file(bundle,
	    conf->relay_certificates_file);
	struct certificates list;
	char error[512];
	int result;

	if (file == NULL)
		return 0;
	certificates_init(&list);
	result = certificates_read(&list, conf->relay_certificates_file,
	    file->contents, error, sizeof(error));
	certificates_release(&list);
	if (result != 0)
		*errors = mem_print("%s", error);
	return result;
}

/* The keys that `postern dkim` keeps. */
static int check_keys(const struct conf *conf, const struct bundle *bundle,
    char **errors)
{
	const struct bundle_file *file = bundle_file(bundle,
	    conf->dkim_keys_file);
	struct dkim_keys *keys;

	if (file == NULL)
		return 0;
	keys = dkim_keys_read(conf->dkim_keys_file, file->contents, errors);
	if (keys == NULL)
		return -1;
	dkim_keys_free(keys);
	return 0;
}

int certificates_check(const struct conf *conf, const struct bundle *bundle,
    char **errors)
{
	struct tls_server *server = tls_server_new();
	const struct conf_certificate *certificate;
	const struct bundle_file *chain, *key;
	char error[512];
	size_t i;
	int result = 0;

	for (i = 0; result == 0 && i < conf->certificate_count; i++) {
		certificate = &conf->certificates[i];
		chain = bundle_file(bundle, certificate->chain);
		key = bundle_file(bundle, certificate->key);
		if (chain == NULL || key == NULL ||
		    tls_server_add(server, certificate->name, chain->contents,
		    key->contents, error, sizeof(error)) == -1) {
			*errors = mem_print("certificate \"%s\" (chain %s, "
			    "key %s): %s", certificate->name,
			    certificate->chain, certificate->key,
			    chain == NULL || key == NULL ?
			    "the file was not read" : error);
			result = -1;
		}
	}
	tls_server_free(server);
	if (result == 0)
		result = check_clients(conf, bundle, errors);
	if (result == 0)
		result = check_keys(conf, bundle, errors);
	if (result == 0)
		result = check_trust(conf, bundle, errors);
	if (result == 0)
		result = check_anchor(conf, bundle, errors);
	if (result == 0)
		result = published_check_offline(conf, bundle, errors);
	return result;
}
