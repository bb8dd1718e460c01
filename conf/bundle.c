/* SPDX-License-Identifier: ISC */
/*
 * The configuration and the files it names, read once by who may read them and
 * handed out by role: see bundle.h. On the wire:
 *
 *	u8 version, text name, text text, u32 files, each: u8 role, text path,
 *	u8 is it a table, bytes (none of a table)
 *
 * Contents may be private keys: they are wiped before they are freed, and
 * bundle_encode() is the one place that decides who gets them. The caller
 * wipes the buffer it encoded into (buf_wipe).
 */
#include "conf/bundle.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/table.h"
#include "base/wire.h"
#include "conf/conf.h"
#include "conf/options.h"
#include "conf/problem.h"

enum { BUNDLE_VERSION = 2, BUNDLE_TEXT_MAX = 1 << 20,
    BUNDLE_FILE_MAX = 4 << 20, BUNDLE_FILES_MAX = 10000,
    BUNDLE_PATH_MAX = 4096, BUNDLE_TABLES_MAX = 100 };
/* Of all tables: a role has the old ones, too, while it reads the new. */
#define BUNDLE_TABLE_BYTES ((size_t)1 << 30)

/* One file to be read, and how to speak of it. */
struct wanted {
	const char	*option;	/* with its section, for people */
	const char	*title;		/* of the section; may be empty */
	const char	*path;
	enum role	 role;
	bool		 secret;
};

static void release_file(struct bundle_file *file)
{
	mem_free(file->path);
	table_release(file->table);
	if (file->contents != NULL) {
		mem_wipe(file->contents, file->length);
		mem_free(file->contents);
	}
}

void bundle_free(struct bundle *bundle)
{
	if (bundle == NULL)
		return;
	for (size_t i = 0; i < bundle->file_count; i++)
		release_file(&bundle->files[i]);
	mem_free(bundle->files);
	mem_free(bundle->name);
	mem_free(bundle->text);
	mem_free(bundle);
}

static struct bundle_file *add_file(struct bundle *bundle, const char *path,
    enum role role)
{
	struct bundle_file *file;

	bundle->files = mem_resize(bundle->files, bundle->file_count + 1,
	    sizeof(*bundle->files));
	file = &bundle->files[bundle->file_count++];
	*file = (struct bundle_file){ .path = mem_dup_string(path),
	    .role = role };
	return file;
}

const struct bundle_file *bundle_file(const struct bundle *bundle,
    const char *path)
{
	for (size_t i = 0; path[0] != '\0' && i < bundle->file_count; i++)
		if (strcmp(bundle->files[i].path, path) == 0)
			return &bundle->files[i];
	return NULL;
}

/* --- reading files --- */

/* Who must be able to read: whoever runs this. */
static const char *reader_name(void)
{
	struct passwd *user = getpwuid(geteuid());

	return user != NULL ? user->pw_name : "that started Postern";
}

/* Bytes up to the end of the file, at most max; -1 with errno. */
static ssize_t read_all(int fd, char *out, size_t max)
{
	size_t length = 0;

	while (length < max) {
		ssize_t got = read(fd, out + length, max - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

/*
 * Null-terminated contents, owned by the caller; null with the reason in why.
 * Without O_NONBLOCK a named pipe would stop us for ever.
 */
static char *read_file(const char *path, size_t max, size_t *length,
    struct stat *status, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char *contents = NULL;
	size_t size = 0;
	ssize_t got;

	if (fd < 0 || fstat(fd, status) != 0)
		goto fail;
	*why = S_ISDIR(status->st_mode) ? "it is a directory" :
	    "it is not a regular file";
	if (!S_ISREG(status->st_mode))
		goto refuse;
	*why = "it is too large";
	if (status->st_size > (off_t)max)
		goto refuse;
	size = (size_t)status->st_size;
	contents = mem_alloc(size + 2);
	got = read_all(fd, contents, size + 1);
	if (got < 0)
		goto fail;
	*why = "it changes while it is read";
	if ((size_t)got > size)
		goto refuse;
	*why = "it holds a zero byte and is no text";
	if (memchr(contents, '\0', (size_t)got) != NULL)
		goto refuse;
	close(fd);
	*length = (size_t)got;
	contents[got] = '\0';
	return contents;
fail:
	*why = strerror(errno);
refuse:
	if (fd >= 0)
		close(fd);
	if (contents != NULL)
		mem_wipe(contents, size + 2);
	mem_free(contents);
	return NULL;
}

/* The same, but there must be something in it. */
static char *read_full(const char *path, size_t max, size_t *length,
    struct stat *status, const char **why)
{
	char *contents = read_file(path, max, length, status, why);

	if (contents == NULL || *length > 0)
		return contents;
	*why = "it is empty";
	mem_free(contents);
	return NULL;
}

/* --- which files --- */

/* Lists, in which there may be nobody (any more). */
static bool is_list(const char *option)
{
	static const char *const lists[] = { "accounts-file", "dkim-keys-file",
	    "sts-approvals-file", "relay-certificates-file", "aliases-file",
	    "aliases-file of domain", "users-file of domain" };

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
		if (strcmp(option, lists[i]) == 0)
			return true;
	return false;
}

static void check_mode(const struct wanted *wanted, const struct stat *status,
    struct problems *advice)
{
	if (wanted->secret && (status->st_mode & S_IRWXO) != 0)
		problems_add(advice, 0, "%s%s%.80s: others may read or change "
		    "%.200s (mode %04o); take their rights with chmod o= and "
		    "make a new key", wanted->option,
		    wanted->title[0] != '\0' ? " " : "", wanted->title,
		    wanted->path, (unsigned)status->st_mode & 07777);
}

/* Who an address stands for: the queue asks that of its notifications, which may
 * be for senders that were rewritten. Passwords are no part of it. */
static bool is_shared(const struct wanted *wanted)
{
	if (strcmp(wanted->option, "dkim-keys-file") == 0)
		return true;	/* it signs its notifications */
	return wanted->role == ROLE_DIRECTORY &&
	    strcmp(wanted->option, "accounts-file") != 0;
}

/* Null, or what is wrong with the kind of it. */
static const char *wrong_kind(const struct table *table, bool users)
{
	if (strcmp(table_kind(table), users ? "users" : "aliases") == 0)
		return NULL;
	return users ? "it is a table of aliases, not of users" :
	    "it is a table of users, not of aliases";
}

/* Null with the reason. */
static struct table *read_table(const char *path, bool users,
    const char **why)
{
	struct table *table = table_load(path, NULL, why);

	*why = table == NULL ? *why : wrong_kind(table, users);
	if (table == NULL || *why == NULL)
		return table;
	table_release(table);
	return NULL;
}

static void cannot_use(const struct wanted *wanted, const char *why,
    struct problems *problems)
{
	problems_add(problems, 0, "%s%s%.80s: cannot use the table %.300s: %s",
	    wanted->option, wanted->title[0] != '\0' ? " " : "",
	    wanted->title, wanted->path, why);
}

/* Of all that the bundle has, with one of that size more. */
static bool has_room(const struct bundle *bundle, const struct table *table)
{
	size_t bytes = table_bytes(table), count = 1;

	for (size_t i = 0; i < bundle->file_count; i++)
		if (bundle->files[i].is_table) {
			bytes += table_bytes(bundle->files[i].table);
			count++;
		}
	return bytes <= BUNDLE_TABLE_BYTES && count <= BUNDLE_TABLES_MAX;
}

/* Several domains may name the same one. */
static void load_table(struct bundle *bundle, const struct wanted *wanted,
    struct problems *problems)
{
	bool users = strncmp(wanted->option, "users", 5) == 0;
	const struct bundle_file *there = bundle_file(bundle, wanted->path);
	const char *why = NULL;
	struct bundle_file *file;
	struct table *table;

	if (there != NULL) {
		why = there->table == NULL ? "another option names it as a "
		    "text" : wrong_kind(there->table, users);
		if (why != NULL)
			cannot_use(wanted, why, problems);
		return;
	}
	table = read_table(wanted->path, users, &why);
	if (table != NULL && !has_room(bundle, table)) {
		table_release(table);
		table = NULL;
		why = "there may be 100 tables, of 1024M together";
	}
	if (table == NULL) {
		cannot_use(wanted, why, problems);
		return;
	}
	file = add_file(bundle, wanted->path, wanted->role);
	file->contents = mem_dup_string("");
	file->is_table = true;
	file->table = table;
	file->shared = is_shared(wanted);
}

/* Lists of names, which may be long. */
static bool may_be_table(const char *option)
{
	return strncmp(option, "users-file", 10) == 0 ||
	    strncmp(option, "aliases-file", 12) == 0;
}

static void load(struct bundle *bundle, const struct wanted *wanted,
    struct problems *problems, struct problems *advice)
{
	struct bundle_file *file;
	struct stat status;
	const char *why;
	char *contents;
	size_t length;

	if (may_be_table(wanted->option) && table_is_path(wanted->path)) {
		load_table(bundle, wanted, problems);
		return;
	}
	if (bundle->file_count == BUNDLE_FILES_MAX) {
		problems_add(problems, 0, "%s %.80s: more than %d files are "
		    "named; put the users of several domains into the "
		    "configuration", wanted->option, wanted->title,
		    BUNDLE_FILES_MAX);
		return;
	}
	contents = is_list(wanted->option) ?
	    read_file(wanted->path, BUNDLE_FILE_MAX, &length, &status, &why) :
	    read_full(wanted->path, BUNDLE_FILE_MAX, &length, &status, &why);
	if (contents == NULL) {
		problems_add(problems, 0, "%s%s%.80s: cannot use %.300s: %s; "
		    "give a text file of at most 4M that the user %s can "
		    "read%s", wanted->option, wanted->title[0] != '\0' ? " " :
		    "", wanted->title, wanted->path, why, reader_name(),
		    may_be_table(wanted->option) ? ", or a table (FILE.cdb)" :
		    "");
		return;
	}
	check_mode(wanted, &status, advice);
	file = add_file(bundle, wanted->path, wanted->role);
	file->contents = contents;
	file->length = length;
	file->shared = is_shared(wanted);
}

static bool needs_trust(const struct conf *conf)
{
	for (size_t i = 0; i < conf->destination_count; i++)
		if (conf->destinations[i].level == LEVEL_VERIFY ||
		    conf->destinations[i].level == LEVEL_SECURE)
			return true;
	return false;
}

/* Kept by a sub-command: not there until its first use. */
static bool is_kept(const char *option)
{
	return strcmp(option, "accounts-file") == 0 ||
	    strcmp(option, "dkim-keys-file") == 0 ||
	    strcmp(option, "sts-approvals-file") == 0 ||
	    strcmp(option, "relay-certificates-file") == 0;
}

static bool is_default(const char *option, const char *path)
{
	return strcmp(option_find(SECTION_TOP, option)->fallback, path) == 0;
}

/* A default that is not there is no mistake, but may be worth a word. */
static bool may_be_missing(const struct wanted *wanted,
    const struct conf *conf, struct problems *advice)
{
	bool trust = strcmp(wanted->option, "trust-file") == 0;

	if (is_kept(wanted->option))
		return access(wanted->path, F_OK) != 0 && errno == ENOENT;
	if (!is_default(wanted->option, wanted->path) ||
	    access(wanted->path, F_OK) == 0 || (trust && needs_trust(conf)))
		return false;
	if (!trust)
		problems_add(advice, 0, "%s: there is no %s, so answers from "
		    "DNS are not validated; install it (Debian package "
		    "dns-root-data) or name another one", wanted->option,
		    wanted->path);
	else if (wanted->role == ROLE_POLICY)
		problems_add(advice, 0, "%s: there is no %s, so no MTA-STS "
		    "policy can be fetched; install it (Debian package "
		    "ca-certificates) or name another one", wanted->option,
		    wanted->path);
	return true;
}

static void load_optional(struct bundle *bundle, const struct wanted *wanted,
    const struct conf *conf, struct problems *problems,
    struct problems *advice)
{
	if (wanted->path[0] != '\0' && !may_be_missing(wanted, conf, advice))
		load(bundle, wanted, problems, advice);
}

/* The certificate of a name that check.c found among the sections. */
static void load_pair(struct bundle *bundle, const struct conf_certificate *one,
    enum role role, struct problems *problems, struct problems *advice)
{
	load(bundle, &(struct wanted){ "chain of certificate", one->name,
	    one->chain, role, false }, problems, advice);
	load(bundle, &(struct wanted){ "key of certificate", one->name,
	    one->key, role, true }, problems, advice);
}

static bool shows_here(const struct conf_listener *listener, const char *name)
{
	for (size_t i = 0; i < listener->certificates.count; i++)
		if (strcasecmp(listener->certificates.items[i], name) == 0)
			return true;
	return listener->certificates.count == 0;
}

/* Does a listener of that kind show this certificate? */
static bool is_shown(const struct conf *conf, const char *name, bool policies)
{
	for (size_t i = 0; i < conf->listener_count; i++)
		if ((conf->listeners[i].service == SERVICE_MTA_STS) ==
		    policies && shows_here(&conf->listeners[i], name))
			return true;
	return false;
}

/* Does a route show it as a client? */
static bool is_client(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->route_count; i++)
		if (strcasecmp(conf->routes[i].certificate, name) == 0)
			return true;
	return false;
}

static void load_certificates(struct bundle *bundle, const struct conf *conf,
    struct problems *problems, struct problems *advice)
{
	for (size_t i = 0; i < conf->certificate_count; i++) {
		const struct conf_certificate *one = &conf->certificates[i];
		bool client = is_client(conf, one->name);
		bool policies = is_shown(conf, one->name, true);

		if (is_shown(conf, one->name, false) || (!client && !policies))
			load_pair(bundle, one, ROLE_SMTPD, problems, advice);
		if (client)
			load_pair(bundle, one, ROLE_DELIVERY, problems, advice);
		if (policies)
			load_pair(bundle, one, ROLE_STS, problems, advice);
	}
}

/* Users and aliases of the domains, passwords of the routes. */
static void load_sections(struct bundle *bundle, const struct conf *conf,
    struct problems *problems, struct problems *advice)
{
	for (size_t i = 0; i < conf->domain_count; i++) {
		const struct conf_domain *one = &conf->domains[i];

		if (one->users_file[0] != '\0')
			load(bundle, &(struct wanted){ "users-file of domain",
			    one->name, one->users_file, ROLE_DIRECTORY,
			    false }, problems, advice);
		if (one->aliases_file[0] != '\0')
			load(bundle, &(struct wanted){
			    "aliases-file of domain", one->name,
			    one->aliases_file, ROLE_DIRECTORY, false },
			    problems, advice);
	}
	for (size_t i = 0; i < conf->route_count; i++)
		if (conf->routes[i].credentials_file[0] != '\0')
			load(bundle, &(struct wanted){
			    "credentials-file of route",
			    conf->routes[i].pattern,
			    conf->routes[i].credentials_file, ROLE_DELIVERY,
			    true }, problems, advice);
}

static void load_files(struct bundle *bundle, const struct conf *conf,
    struct problems *problems, struct problems *advice)
{
	const struct wanted top[] = {
		{ "trust-file", "", conf->trust_file, ROLE_DELIVERY, false },
		{ "trust-file", "", conf->trust_file, ROLE_POLICY, false },
		{ "trust-anchor-file", "", conf->trust_anchor_file,
		    ROLE_POLICY, false },
		{ "root-hints-file", "", conf->root_hints_file, ROLE_POLICY,
		    false },
		{ "relay-certificates-file", "",
		    conf->relay_certificates_file, ROLE_SMTPD, false },
		{ "dkim-keys-file", "", conf->dkim_keys_file, ROLE_SMTPD,
		    true },
		{ "accounts-file", "", conf->accounts_file, ROLE_DIRECTORY,
		    true },
		{ "sts-approvals-file", "", conf->sts_approvals_file,
		    ROLE_STS, false },
		{ "aliases-file", "", conf->aliases_file, ROLE_DIRECTORY,
		    false },
		{ "srs-secret-file", "", conf->srs_secret_file,
		    ROLE_DIRECTORY, true },
	};

	load_certificates(bundle, conf, problems, advice);
	load_sections(bundle, conf, problems, advice);
	for (size_t i = 0; i < sizeof(top) / sizeof(top[0]); i++)
		load_optional(bundle, &top[i], conf, problems, advice);
}

/* Behind those that conf_read() had. */
static void add_warnings(struct conf *conf, struct problems *advice)
{
	char *more = problems_take(advice);
	char *before = conf->warnings;

	if (more == NULL)
		return;
	conf->warnings = mem_print("%s%s", before != NULL ? before : "",
	    more);
	mem_free(before);
	mem_free(more);
}

static void cannot_read(const char *path, const char *why, int max,
    char **errors)
{
	struct problems problems;

	problems_init(&problems, path);
	problems_add(&problems, 0, "cannot read this file: %s; give a text file "
	    "of at most %dM that the user %s can read", why, max >> 20,
	    reader_name());
	*errors = problems_take(&problems);
}

char *bundle_read_text(const char *path, char **errors)
{
	struct stat status;
	const char *why;
	size_t length;
	char *text = read_full(path, BUNDLE_TEXT_MAX, &length, &status, &why);

	if (text == NULL)
		cannot_read(path, why, BUNDLE_TEXT_MAX, errors);
	return text;
}

static char *read_list(const char *path, int max, char **errors)
{
	struct stat status;
	const char *why;
	size_t length;
	char *text = read_file(path, (size_t)max, &length, &status, &why);

	if (text == NULL)
		cannot_read(path, why, max, errors);
	return text;
}

char *bundle_read_list(const char *path, char **errors)
{
	return read_list(path, BUNDLE_FILE_MAX, errors);
}

char *bundle_read_source(const char *path, char **errors)
{
	return read_list(path, TABLE_BYTES_MAX, errors);
}

struct table *bundle_read_table(const char *path, bool users, char **errors)
{
	struct problems problems;
	const char *why;
	struct table *table = read_table(path, users, &why);

	if (table != NULL)
		return table;
	problems_init(&problems, path);
	problems_add(&problems, 0, "cannot use this table: %s", why);
	*errors = problems_take(&problems);
	return NULL;
}

static struct bundle *load_text(const char *path, char **errors)
{
	char *text = bundle_read_text(path, errors);
	struct bundle *bundle;

	if (text == NULL)
		return NULL;
	bundle = mem_alloc(sizeof(*bundle));
	bundle->name = mem_dup_string(path);
	bundle->text = text;
	return bundle;
}

struct bundle *bundle_load(const char *path, struct conf **conf,
    char **errors)
{
	struct problems problems, advice;
	struct bundle *bundle;

	*conf = NULL;
	*errors = NULL;
	bundle = load_text(path, errors);
	if (bundle == NULL)
		return NULL;
	*conf = conf_read(path, bundle->text, errors);
	if (*conf == NULL) {
		bundle_free(bundle);
		return NULL;
	}
	problems_init(&problems, path);
	problems_init(&advice, path);
	load_files(bundle, *conf, &problems, &advice);
	add_warnings(*conf, &advice);
	*errors = problems_take(&problems);
	if (*errors == NULL)
		return bundle;
	conf_free(*conf);
	*conf = NULL;
	bundle_free(bundle);
	return NULL;
}

/* --- on the wire --- */

static bool goes_to(const struct bundle_file *file, enum role role)
{
	return file->role == role || (file->shared && role == ROLE_QUEUE);
}

int bundle_encode(const struct bundle *bundle, enum role role,
    struct buf *out)
{
	struct wire_writer writer;
	uint32_t count = 0;

	for (size_t i = 0; i < bundle->file_count; i++)
		if (goes_to(&bundle->files[i], role))
			count++;
	wire_write_begin(&writer, out);
	wire_put_u8(&writer, BUNDLE_VERSION);
	wire_put_text(&writer, bundle->name);
	wire_put_text(&writer, bundle->text);
	wire_put_u32(&writer, count);
	for (size_t i = 0; i < bundle->file_count; i++) {
		const struct bundle_file *file = &bundle->files[i];

		if (!goes_to(file, role))
			continue;
		wire_put_u8(&writer, (uint8_t)role);
		wire_put_text(&writer, file->path);
		wire_put_u8(&writer, file->is_table);
		wire_put_bytes(&writer, file->contents, file->length);
	}
	return wire_write_end(&writer);
}

/* A copy with a null behind it; null and a bad reader if one is inside. */
static char *get_copy(struct wire_reader *reader, size_t max, size_t *length)
{
	const void *bytes = wire_get_bytes(reader, max, length);
	char *copy;

	if (*length > 0 && memchr(bytes, '\0', *length) != NULL)
		reader->bad = true;
	copy = mem_alloc(*length + 1);
	if (*length > 0)
		memcpy(copy, bytes, *length);
	return copy;
}

static void get_file(struct wire_reader *reader, struct bundle *bundle)
{
	enum role role = (enum role)wire_get_enum(reader, ROLE_COUNT);
	struct bundle_file *file;
	size_t length;
	char *path = get_copy(reader, BUNDLE_PATH_MAX, &length);

	file = add_file(bundle, path, role);
	mem_free(path);
	file->is_table = wire_get_enum(reader, 2) == 1;
	file->contents = get_copy(reader, BUNDLE_FILE_MAX, &file->length);
}

struct bundle *bundle_decode(const void *data, size_t length)
{
	struct bundle *bundle = mem_alloc(sizeof(*bundle));
	struct wire_reader reader;
	uint32_t count;
	size_t unused;

	wire_read_begin(&reader, data, length);
	if (wire_get_u8(&reader) != BUNDLE_VERSION)
		reader.bad = true;
	bundle->name = get_copy(&reader, BUNDLE_PATH_MAX, &unused);
	bundle->text = get_copy(&reader, BUNDLE_TEXT_MAX, &unused);
	count = wire_get_u32(&reader);
	if (count > BUNDLE_FILES_MAX)
		reader.bad = true;
	for (uint32_t i = 0; i < count && !reader.bad; i++)
		get_file(&reader, bundle);
	if (wire_read_end(&reader) == 0)
		return bundle;
	bundle_free(bundle);
	return NULL;
}

const struct bundle_file *bundle_next_table(const struct bundle *bundle,
    enum role role, const struct bundle_file *after)
{
	size_t i = after == NULL ? 0 : (size_t)(after - bundle->files) + 1;

	for (; i < bundle->file_count; i++)
		if (bundle->files[i].table != NULL &&
		    goes_to(&bundle->files[i], role))
			return &bundle->files[i];
	return NULL;
}

int bundle_attach_tables(struct bundle *bundle,
    int (*descriptor)(const char *path), char *error, size_t size)
{
	for (size_t i = 0; i < bundle->file_count; i++) {
		struct bundle_file *file = &bundle->files[i];
		const char *why = "it did not come";
		int fd;

		if (!file->is_table || file->table != NULL)
			continue;
		fd = descriptor(file->path);
		file->table = fd == -1 ? NULL : table_open(fd, &why);
		if (file->table == NULL) {
			snprintf(error, size, "%.300s: %s", file->path, why);
			return -1;
		}
	}
	return 0;
}
