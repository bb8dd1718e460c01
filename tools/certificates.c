/* SPDX-License-Identifier: ISC */
/*
 * The same function that smtpd loads them with, called early.
 */
#include "tools/certificates.h"

#include <stddef.h>

#include "base/mem.h"
#include "base/tls.h"
#include "conf/bundle.h"
#include "conf/conf.h"

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
	return result;
}
