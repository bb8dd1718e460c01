/* SPDX-License-Identifier: ISC */
/*
 * A file of aliases: any bytes. What is taken must be answered, for every
 * name in it, with addresses that are addresses, each once, and no more of
 * them than there may be.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "conf/bundle.h"
#include "conf/conf.h"
#include "policy/expand.h"
#include "tests/fuzz/expansion_check.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "hostname = mx.example.org\n"
    "aliases-file = /aliases\n"
    "domain example.org { users = { alice, bob } aliases-file = /own }\n"
    "domain example.net { users = { carol } catch-all = a@example.org }\n";

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const addresses[] = { "a@example.org",
	    "a+x@example.org", "b@example.net", "alice@example.org",
	    "\"a b\"@example.org", "postmaster", "root@example.net" };
	char *copy, *errors = NULL, *advice = NULL;
	size_t half = size / 2;
	struct bundle_file files[2];
	struct bundle bundle = { .name = (char *)"c", .files = files,
	    .file_count = 2 };
	static struct conf *conf;
	struct expander *expander;

	if (conf == NULL)
		conf = conf_read("c", text, &errors);
	if (conf == NULL)
		__builtin_trap();
	copy = mem_alloc(size + 1);
	if (size > 0)
		memcpy(copy, data, size);
	files[0] = (struct bundle_file){ .path = (char *)"/aliases",
	    .contents = copy, .length = half, .role = ROLE_DIRECTORY };
	files[1] = (struct bundle_file){ .path = (char *)"/own",
	    .contents = copy + half, .length = size - half,
	    .role = ROLE_DIRECTORY };
	expander = expander_new(conf, &bundle, &errors, &advice);
	if ((expander == NULL) != (errors != NULL))
		__builtin_trap();
	for (size_t i = 0; expander != NULL && i < 7; i++)
		expansion_check(expander, addresses[i]);
	expander_free(expander);
	mem_free(errors);
	mem_free(advice);
	mem_free(copy);
	return 0;
}
