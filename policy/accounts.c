/* SPDX-License-Identifier: ISC */
/*
 * The accounts as a list in the order of the file, and a hash by name. Every
 * word is checked when it is read, so what is found can be used as it is.
 */
#include "policy/accounts.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "policy/password.h"

enum { SECRET_BYTES = 32 };

struct accounts {
	struct account	**items;	/* owned, as what they point to */
	size_t		 count, size;
	struct hash	*names;		/* name -> account */
	uint8_t		 secret[SECRET_BYTES];
};

/* --- names and addresses --- */

/* The one form of a name. -1: none. */
static int take_name(char *out, size_t size, const char *text)
{
	if (scram_prepare(out, size, text) == -1 || *out == '#')
		return -1;
	for (; *out != '\0'; out++) {
		if (strchr(" *=,:;\"<>()[]\\", *out) != NULL)
			return -1;
		*out = (char)tolower((unsigned char)*out);
	}
	return 0;
}

static bool is_address(const char *text)
{
	struct address address;
	char domain[ADDRESS_DOMAIN_MAX + 1];

	if (strcmp(text, "*") == 0)
		return true;
	/* The file is cut at spaces. */
	if (strchr(text, ' ') != NULL)
		return false;
	if (text[0] == '@')
		return domain_parse(domain, sizeof(domain), text + 1,
		    strlen(text + 1)) == 0;
	return address_parse(&address, text) == ADDRESS_OK;
}

bool account_add_address(struct account *account, const char *address)
{
	if (!is_address(address) ||
	    account->address_count >= ACCOUNT_ADDRESSES_MAX)
		return false;
	for (size_t i = 0; i < account->address_count; i++)
		if (strcasecmp(account->addresses[i], address) == 0)
			return true;
	account->addresses = mem_resize(account->addresses,
	    account->address_count + 1, sizeof(*account->addresses));
	account->addresses[account->address_count++] =
	    mem_dup_string(address);
	return true;
}

bool account_remove_address(struct account *account, const char *address)
{
	size_t i = 0;

	while (i < account->address_count &&
	    strcasecmp(account->addresses[i], address) != 0)
		i++;
	if (i == account->address_count)
		return false;
	mem_free(account->addresses[i]);
	memmove(&account->addresses[i], &account->addresses[i + 1],
	    (account->address_count - i - 1) * sizeof(*account->addresses));
	account->address_count--;
	return true;
}

int account_set_password(struct account *account, const char *password)
{
	char prepared[SCRAM_PASSWORD_MAX + 1], hash[PASSWORD_HASH_MAX + 1];
	uint8_t salt[ACCOUNT_SALT];
	int result = -1;

	random_bytes(salt, sizeof(salt));
	if (scram_prepare(prepared, sizeof(prepared), password) == 0 &&
	    password_hash(prepared, hash, sizeof(hash)) == 0 &&
	    scram_secret_make(&account->scram, password, salt, sizeof(salt),
	    ACCOUNT_ITERATIONS) == 0) {
		mem_free_secret(account->password);
		account->password = mem_dup_string(hash);
		result = 0;
	}
	mem_wipe(prepared, sizeof(prepared));
	mem_wipe(hash, sizeof(hash));
	return result;
}

static void free_account(struct account *account)
{
	for (size_t i = 0; i < account->address_count; i++)
		mem_free(account->addresses[i]);
	mem_free(account->addresses);
	mem_free_secret(account->password);
	mem_free(account->name);
	mem_wipe(account, sizeof(*account));
	mem_free(account);
}

/* --- the list --- */

struct accounts *accounts_new(void)
{
	struct accounts *accounts = mem_alloc(sizeof(*accounts));

	accounts->names = hash_new();
	random_bytes(accounts->secret, sizeof(accounts->secret));
	return accounts;
}

void accounts_free(struct accounts *accounts)
{
	if (accounts == NULL)
		return;
	for (size_t i = 0; i < accounts->count; i++)
		free_account(accounts->items[i]);
	mem_free(accounts->items);
	hash_free(accounts->names);
	mem_wipe(accounts, sizeof(*accounts));
	mem_free(accounts);
}

size_t accounts_count(const struct accounts *accounts)
{
	return accounts->count;
}

struct account *accounts_get(const struct accounts *accounts, size_t index)
{
	return accounts->items[index];
}

struct account *accounts_find(const struct accounts *accounts,
    const char *name)
{
	char taken[ACCOUNT_NAME_MAX + 1];

	if (take_name(taken, sizeof(taken), name) == -1)
		return NULL;
	return hash_find_text(accounts->names, taken);
}

struct account *accounts_add(struct accounts *accounts, const char *name)
{
	char taken[ACCOUNT_NAME_MAX + 1];
	struct account *account;

	if (take_name(taken, sizeof(taken), name) == -1)
		return NULL;
	account = hash_find_text(accounts->names, taken);
	if (account != NULL)
		return account;
	if (accounts->count == accounts->size) {
		accounts->size = accounts->size * 2 + 16;
		accounts->items = mem_resize(accounts->items, accounts->size,
		    sizeof(*accounts->items));
	}
	account = mem_alloc(sizeof(*account));
	account->name = mem_dup_string(taken);
	accounts->items[accounts->count++] = account;
	hash_put_text(accounts->names, taken, account);
	return account;
}

void accounts_remove(struct accounts *accounts, struct account *account)
{
	size_t i = 0;

	while (accounts->items[i] != account)
		i++;
	memmove(&accounts->items[i], &accounts->items[i + 1],
	    (accounts->count - i - 1) * sizeof(*accounts->items));
	accounts->count--;
	hash_remove_text(accounts->names, account->name);
	free_account(account);
}

/* The salt must be the same each time; of the keys nobody learns anything. */
void accounts_invent(const struct accounts *accounts, const char *name,
    struct scram_secret *secret)
{
	char taken[ACCOUNT_NAME_MAX + 1];
	uint8_t digest[DIGEST_BYTES];

	if (take_name(taken, sizeof(taken), name) == -1)
		snprintf(taken, sizeof(taken), "%s", name);
	memset(secret, 0, sizeof(*secret));
	digest_keyed(accounts->secret, sizeof(accounts->secret), taken,
	    strlen(taken), digest);
	memcpy(secret->salt, digest, ACCOUNT_SALT);
	secret->salt_length = ACCOUNT_SALT;
	secret->iterations = ACCOUNT_ITERATIONS;
	random_bytes(secret->stored_key, sizeof(secret->stored_key));
	random_bytes(secret->server_key, sizeof(secret->server_key));
}

/* --- reading --- */

struct reading {
	const char	*path;
	unsigned	 line;
	char		*error;
	size_t		 size;
	bool		 has_secret;
};

static int wrong(const struct reading *reading, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* What is in the file is not repeated: it may be half of a secret. */
static int wrong(const struct reading *reading, const char *format, ...)
{
	char text[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	snprintf(reading->error, reading->size, "%s:%u: %s", reading->path,
	    reading->line, text);
	return -1;
}

/* Takes what stands before the next comma. */
static char *cut(char **rest)
{
	char *word = *rest;

	if (word == NULL)
		return NULL;
	*rest = strchr(word, ',');
	if (*rest != NULL)
		*(*rest)++ = '\0';
	return word;
}

static int take_key(uint8_t *key, const char *text)
{
	uint8_t bytes[DIGEST_BYTES + 1];

	if (text == NULL ||
	    base64_parse(bytes, sizeof(bytes), text) != DIGEST_BYTES)
		return -1;
	memcpy(key, bytes, DIGEST_BYTES);
	mem_wipe(bytes, sizeof(bytes));
	return 0;
}

/* "ITERATIONS,SALT,STORED,SERVER" */
static int take_scram(struct scram_secret *secret, char *text)
{
	char *rest = text;
	const char *number = cut(&rest), *salt = cut(&rest);
	unsigned iterations = 0;
	int length, used = 0;

	if (strlen(number) > 7 ||
	    sscanf(number, "%u%n", &iterations, &used) != 1 ||
	    number[used] != '\0' || iterations < SCRAM_ITERATIONS_MIN ||
	    iterations > SCRAM_ITERATIONS_MAX || salt == NULL)
		return -1;
	length = base64_parse(secret->salt, sizeof(secret->salt), salt);
	if (length <= 0 || take_key(secret->stored_key, cut(&rest)) == -1 ||
	    take_key(secret->server_key, cut(&rest)) == -1 || rest != NULL)
		return -1;
	secret->iterations = iterations;
	secret->salt_length = (size_t)length;
	return 0;
}

static int take_word(const struct reading *reading, struct account *account,
    char *word)
{
	char *value = strchr(word, '=');

	if (value != NULL)
		*value++ = '\0';
	if (value == NULL && strcmp(word, "disabled") == 0) {
		account->disabled = true;
		return 0;
	}
	if (value != NULL && strcmp(word, "password") == 0) {
		if (account->password != NULL ||
		    !password_hash_is_sound(value))
			return wrong(reading, "password= is given twice, or "
			    "is no hash of crypt(5); `postern user passwd` "
			    "makes one");
		account->password = mem_dup_string(value);
		return 0;
	}
	if (value != NULL && strcmp(word, "scram") == 0) {
		if (account->scram.salt_length > 0 ||
		    take_scram(&account->scram, value) == -1)
			return wrong(reading, "scram= is given twice, or is "
			    "not ITERATIONS,SALT,STOREDKEY,SERVERKEY (three "
			    "in base64); `postern user passwd` makes it");
		return 0;
	}
	if (value != NULL && strcmp(word, "address") == 0) {
		if (!account_add_address(account, value))
			return wrong(reading, "address= is not local@domain, "
			    "@domain or *, or there are more than %d",
			    ACCOUNT_ADDRESSES_MAX);
		return 0;
	}
	return wrong(reading, "a word that is none of password=, scram=, "
	    "address=, disabled");
}

/* Takes a word off the line; null: there is none. */
static char *next_word(char **line)
{
	char *word = *line + strspn(*line, " \t\r");
	size_t length = strcspn(word, " \t\r");

	*line = word + length;
	if (word[length] != '\0')
		*(*line)++ = '\0';
	return length == 0 ? NULL : word;
}

static int take_secret(struct accounts *accounts, struct reading *reading,
    char *line)
{
	const char *word = next_word(&line);
	uint8_t bytes[SECRET_BYTES + 1];

	if (reading->has_secret || word == NULL ||
	    strncmp(word, "secret=", 7) != 0 || next_word(&line) != NULL ||
	    base64_parse(bytes, sizeof(bytes), word + 7) != SECRET_BYTES)
		return wrong(reading, "the line of * holds one secret=, %d "
		    "bytes in base64, once", SECRET_BYTES);
	memcpy(accounts->secret, bytes, SECRET_BYTES);
	mem_wipe(bytes, sizeof(bytes));
	reading->has_secret = true;
	return 0;
}

/* line may be written to. */
static int take_line(struct accounts *accounts, struct reading *reading,
    char *line)
{
	char *word = next_word(&line);
	struct account *account;
	size_t before = accounts->count;

	if (word == NULL || word[0] == '#')
		return 0;
	if (strcmp(word, "*") == 0)
		return take_secret(accounts, reading, line);
	account = accounts_add(accounts, word);
	if (account == NULL)
		return wrong(reading, "the name is no local part or address "
		    "(without quotes)");
	if (accounts->count == before)
		return wrong(reading, "this name was given before");
	while ((word = next_word(&line)) != NULL)
		if (take_word(reading, account, word) == -1)
			return -1;
	return 0;
}

struct accounts *accounts_parse(const char *path, const char *text,
    size_t length, char *error, size_t size)
{
	struct reading reading = { .path = path, .error = error,
	    .size = size };
	struct accounts *accounts = accounts_new();
	const char *end = text + length, *newline;
	char *line = mem_alloc(ACCOUNTS_LINE_MAX + 1);
	int result = 0;

	for (; result == 0 && text < end; text = newline + 1) {
		newline = memchr(text, '\n', (size_t)(end - text));
		if (newline == NULL)
			newline = end;
		reading.line++;
		if (newline - text > ACCOUNTS_LINE_MAX ||
		    memchr(text, '\0', (size_t)(newline - text)) != NULL) {
			result = wrong(&reading, "the line is too long, or "
			    "no text");
			break;
		}
		memcpy(line, text, (size_t)(newline - text));
		line[newline - text] = '\0';
		result = take_line(accounts, &reading, line);
		if (newline == end)
			break;
	}
	mem_wipe(line, ACCOUNTS_LINE_MAX);
	mem_free(line);
	if (result == 0)
		return accounts;
	accounts_free(accounts);
	return NULL;
}

/* --- writing --- */

static void print_scram(const struct scram_secret *secret, struct buf *out,
    bool *failed)
{
	char salt[BASE64_LENGTH(SCRAM_SALT_MAX) + 1];
	char stored[BASE64_LENGTH(DIGEST_BYTES) + 1];
	char server[BASE64_LENGTH(DIGEST_BYTES) + 1];

	base64_format(secret->salt, secret->salt_length, salt, sizeof(salt));
	base64_format(secret->stored_key, DIGEST_BYTES, stored,
	    sizeof(stored));
	base64_format(secret->server_key, DIGEST_BYTES, server,
	    sizeof(server));
	*failed |= buf_print(out, " scram=%u,%s,%s,%s",
	    (unsigned)secret->iterations, salt, stored, server) != 0;
}

static void print_account(const struct account *account, struct buf *out,
    bool *failed)
{
	*failed |= buf_add_string(out, account->name) != 0;
	if (account->password != NULL)
		*failed |= buf_print(out, " password=%s",
		    account->password) != 0;
	if (account->scram.salt_length > 0)
		print_scram(&account->scram, out, failed);
	for (size_t i = 0; i < account->address_count; i++)
		*failed |= buf_print(out, " address=%s",
		    account->addresses[i]) != 0;
	*failed |= buf_add_string(out, account->disabled ? " disabled\n" :
	    "\n") != 0;
}

int accounts_print(const struct accounts *accounts, struct buf *out)
{
	char secret[BASE64_LENGTH(SECRET_BYTES) + 1];
	bool failed = false;

	base64_format(accounts->secret, SECRET_BYTES, secret, sizeof(secret));
	failed |= buf_print(out, "# Who may log in: kept by `postern user`, "
	    "postern(8). Other comments are lost.\n* secret=%s\n",
	    secret) != 0;
	for (size_t i = 0; i < accounts->count; i++)
		print_account(accounts->items[i], out, &failed);
	mem_wipe(secret, sizeof(secret));
	return failed ? -1 : 0;
}
