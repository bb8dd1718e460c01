/* SPDX-License-Identifier: ISC */
/*
 * libcrypt behind password.h. Its work space is some 32 KiB that hold traces
 * of the password, so it lives on the heap and is wiped.
 */
#include "policy/password.h"

#include <crypt.h>
#include <string.h>

#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"

/* The default cost of libcrypt: 16 MiB, some 20 ms. */
static const char method[] = "$y$";

static void free_work(struct crypt_data *work)
{
	mem_wipe(work, sizeof(*work));
	mem_free(work);
}

/* libcrypt says "*0" or "*1" when it cannot. */
static bool is_hash(const char *text)
{
	return text != NULL && text[0] != '*' && text[0] != '\0';
}

int password_hash(const char *prepared, char *out, size_t size)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *work = mem_alloc(sizeof(*work));
	const char *hash = NULL;
	int result = -1;

	if (crypt_gensalt_rn(method, 0, NULL, 0, setting,
	    sizeof(setting)) != NULL)
		hash = crypt_r(prepared, setting, work);
	if (is_hash(hash) && strlen(hash) < size) {
		memcpy(out, hash, strlen(hash) + 1);
		result = 0;
	} else {
		log_error("libcrypt cannot make a yescrypt hash");
	}
	free_work(work);
	return result;
}

bool password_is_right(const char *prepared, const char *hash)
{
	struct crypt_data *work = mem_alloc(sizeof(*work));
	const char *found = crypt_r(prepared, hash, work);
	bool right = is_hash(found) && strlen(found) == strlen(hash) &&
	    digest_is_equal(found, hash, strlen(hash));

	free_work(work);
	return right;
}

bool password_hash_is_sound(const char *hash)
{
	int found;

	if (hash[0] != '$' || strlen(hash) > PASSWORD_HASH_MAX)
		return false;
	/* Weak methods are the administrator's business; none is worse. */
	found = crypt_checksalt(hash);
	return found == CRYPT_SALT_OK || found == CRYPT_SALT_TOO_CHEAP ||
	    found == CRYPT_SALT_METHOD_LEGACY;
}

/* Salt and hash are drawn by lot: no password is known, or looked for. */
const char *password_hash_of_nobody(void)
{
	return "$y$j9T$wb7WqVxkKJr3jDbTtZCzP.$"
	    "Q8mXoRZ0jS5sLJ3pTqv1yTtkF0pBd2Yh4mW6n/aEcV4";
}
