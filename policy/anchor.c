/* SPDX-License-Identifier: ISC */
/*
 * Both files have a record a line, DS or DNSKEY, as libunbound writes and
 * reads them; its own file has the state of a key in a comment behind it
 * (";;state=2"). Keys are known by algorithm and tag, the tag without the
 * REVOKE bit (RFC 5011 7), so that a DS and its DNSKEY are one key and a
 * revoked key is still itself.
 */
#include "policy/anchor.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/mem.h"

enum { KEYS_MAX = 32, KEY_BYTES = 4096, STATE_BYTES_MAX = 64 << 10,
    TOKENS_MAX = 16, LINE_MAX_BYTES = 8 << 10 };
enum { FLAG_KEY_SIGNING = 1 << 0, FLAG_REVOKE = 1 << 7, FLAG_ZONE = 1 << 8 };

/* libunbound's states are START, ADDPEND, VALID, MISSING, REVOKED, REMOVED;
 * what is missing for a while is still trusted (RFC 5011 4). */
enum trust { TRUST_PENDING, TRUST_YES, TRUST_REVOKED };

struct key {
	uint16_t	 tag;
	uint8_t		 algorithm;
	enum trust	 trust;
	const char	*line;		/* in the text; without its newline */
	size_t		 length;
};

struct keys {
	struct key	 items[KEYS_MAX];
	size_t		 count;
};

/* --- reading one line --- */

/* RFC 4034 appendix B. */
static uint16_t key_tag(const uint8_t *rdata, size_t length)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i < length; i++)
		sum += (i & 1) != 0 ? rdata[i] : (uint32_t)rdata[i] << 8;
	return (uint16_t)(sum + (sum >> 16));
}

static int number(const char *text, long max, long *value)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	*value = strtol(text, &end, 10);
	return *end == '\0' && *value <= max ? 0 : -1;
}

/* flags protocol algorithm and the key, which may have spaces in it. */
static int read_dnskey(char **tokens, size_t count, struct key *key)
{
	uint8_t rdata[4 + KEY_BYTES];
	char text[LINE_MAX_BYTES] = "";
	long flags, protocol, algorithm;
	size_t i, used = 0;
	int length;

	if (count < 4 || number(tokens[0], 65535, &flags) == -1 ||
	    number(tokens[1], 255, &protocol) == -1 ||
	    number(tokens[2], 255, &algorithm) == -1)
		return -1;
	for (i = 3; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s", tokens[i]);
	length = base64_parse(rdata + 4, KEY_BYTES, text);
	if (length <= 0 || (flags & FLAG_ZONE) == 0 ||
	    (flags & FLAG_KEY_SIGNING) == 0)
		return -1;
	if ((flags & FLAG_REVOKE) != 0)
		key->trust = TRUST_REVOKED;
	flags &= ~FLAG_REVOKE;
	rdata[0] = (uint8_t)(flags >> 8);
	rdata[1] = (uint8_t)flags;
	rdata[2] = (uint8_t)protocol;
	rdata[3] = (uint8_t)algorithm;
	key->tag = key_tag(rdata, (size_t)length + 4);
	key->algorithm = (uint8_t)algorithm;
	return 0;
}

/* tag algorithm type and the digest. */
static int read_ds(char **tokens, size_t count, struct key *key)
{
	uint8_t digest[64];
	char text[2 * sizeof(digest) + 1] = "";
	long tag, algorithm, type;
	size_t i, used = 0, length = 0;

	if (count < 4 || number(tokens[0], 65535, &tag) == -1 ||
	    number(tokens[1], 255, &algorithm) == -1 ||
	    number(tokens[2], 255, &type) == -1)
		return -1;
	for (i = 3; i < count; i++)
		length += strlen(tokens[i]);
	if (length >= sizeof(text))
		return -1;
	for (i = 3; i < count; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
		    "%s", tokens[i]);
	if (hex_parse(digest, sizeof(digest), text) < 20)
		return -1;
	key->tag = (uint16_t)tag;
	key->algorithm = (uint8_t)algorithm;
	return 0;
}

static enum trust read_state(const char *comment)
{
	const char *state = comment == NULL ? NULL :
	    strstr(comment, ";;state=");

	if (state == NULL)
		return TRUST_YES;	/* as a package writes it */
	switch (state[8]) {
	case '2': case '3': return TRUST_YES;
	case '4': case '5': return TRUST_REVOKED;
	default: return TRUST_PENDING;
	}
}

/* ". [TTL] [IN] DS|DNSKEY ...", cut into words in copy. */
static int read_record(char *copy, struct key *key)
{
	char *tokens[TOKENS_MAX], *rest = copy, *token;
	size_t count = 0, i = 1;

	while ((token = strsep(&rest, " \t\r")) != NULL) {
		if (*token == '\0')
			continue;
		if (count == TOKENS_MAX)
			return -1;
		tokens[count++] = token;
	}
	if (count < 2 || strcmp(tokens[0], ".") != 0)
		return -1;
	if (isdigit((unsigned char)tokens[i][0]) && i + 1 < count)
		i++;
	if (strcasecmp(tokens[i], "IN") == 0 && i + 1 < count)
		i++;
	if (strcasecmp(tokens[i], "DNSKEY") == 0)
		return read_dnskey(tokens + i + 1, count - i - 1, key);
	if (strcasecmp(tokens[i], "DS") == 0)
		return read_ds(tokens + i + 1, count - i - 1, key);
	return -1;
}

/* 1: a key; 0: nothing in the line; -1: what is there cannot be read. */
static int read_line(const char *line, size_t length, struct key *key)
{
	char copy[LINE_MAX_BYTES], *comment;
	int result;

	if (length >= sizeof(copy))
		return -1;
	memcpy(copy, line, length);
	copy[length] = '\0';
	if (copy[strspn(copy, " \t\r")] == ';' ||
	    copy[strspn(copy, " \t\r")] == '#' ||
	    copy[strspn(copy, " \t\r")] == '\0')
		return 0;
	memset(key, 0, sizeof(*key));
	comment = strchr(copy, ';');
	key->trust = read_state(comment);
	if (comment != NULL)
		*comment = '\0';
	result = read_record(copy, key);
	key->line = line;
	key->length = length;
	return result == -1 ? -1 : 1;
}

/* -1 when a line cannot be read; what could is in keys all the same. */
static int read_keys(const char *text, struct keys *keys)
{
	const char *end;
	int result = 0;

	keys->count = 0;
	for (; *text != '\0'; text = *end == '\n' ? end + 1 : end) {
		end = strchrnul(text, '\n');
		switch (read_line(text, (size_t)(end - text),
		    &keys->items[keys->count])) {
		case 1: keys->count++; break;
		case -1: result = -1; break;
		}
		if (keys->count == KEYS_MAX)
			return -1;
	}
	return result;
}

static const struct key *find(const struct keys *keys, const struct key *key)
{
	size_t i;

	for (i = 0; i < keys->count; i++)
		if (keys->items[i].tag == key->tag &&
		    keys->items[i].algorithm == key->algorithm)
			return &keys->items[i];
	return NULL;
}

static size_t count_trusted(const struct keys *keys)
{
	size_t i, count = 0;

	for (i = 0; i < keys->count; i++)
		count += keys->items[i].trust == TRUST_YES;
	return count;
}

/* --- the merge --- */

static void add_line(struct buf *out, const char *line, size_t length)
{
	if (buf_add(out, line, length) == -1 || buf_add_byte(out, '\n') == -1)
		bug("trust anchor larger than its bounds");
}

/* Does a key of the package, not revoked meanwhile, count as new? */
static bool is_new(const struct key *key, const struct keys *state,
    const struct keys *before)
{
	const struct key *known = find(state, key);

	if (known != NULL)
		return known->trust == TRUST_PENDING &&
		    find(before, key) == NULL;
	return find(before, key) == NULL;
}

static bool was_dropped(const struct key *key, const struct keys *before,
    const struct keys *packaged)
{
	return find(before, key) != NULL && find(packaged, key) == NULL;
}

/* Another root: nothing that is trusted is in a package that has changed. */
static bool is_other_root(const struct keys *state, const struct keys *before,
    const struct keys *packaged)
{
	bool revoked = true;
	size_t i;

	if (before->count == 0)
		return false;
	for (i = 0; i < packaged->count; i++) {
		const struct key *known = find(state, &packaged->items[i]);

		if (known != NULL && known->trust == TRUST_YES)
			return false;
		if (find(before, &packaged->items[i]) != NULL)
			return false;	/* an old acquaintance */
		if (known == NULL || known->trust != TRUST_REVOKED)
			revoked = false;
	}
	return !revoked;
}

static void put_package(struct buf *out, const struct keys *packaged)
{
	static const char head[] = "; Postern's trust anchor, begun from the "
	    "packaged one; libunbound keeps it (RFC 5011)";
	size_t i;

	add_line(out, head, sizeof(head) - 1);
	for (i = 0; i < packaged->count; i++)
		add_line(out, packaged->items[i].line,
		    packaged->items[i].length);
}

/* The state's lines in their order, comments too, without what the package
 * dropped and what it now vouches for; then what it brings. */
static void put_both(struct buf *out, const char *state_text,
    const struct keys *before, const struct keys *packaged)
{
	struct keys state;
	const char *line, *end;
	struct key key;
	size_t i;

	read_keys(state_text, &state);
	for (line = state_text; *line != '\0'; line = *end == '\n' ? end + 1 :
	    end) {
		end = strchrnul(line, '\n');
		if (read_line(line, (size_t)(end - line), &key) == 1 &&
		    ((key.trust != TRUST_REVOKED && was_dropped(&key, before,
		    packaged)) || (find(packaged, &key) != NULL &&
		    is_new(&key, &state, before))))
			continue;
		add_line(out, line, (size_t)(end - line));
	}
	for (i = 0; i < packaged->count; i++)
		if (is_new(&packaged->items[i], &state, before))
			add_line(out, packaged->items[i].line,
			    packaged->items[i].length);
}

int anchor_check(const char *text, char *why, unsigned size)
{
	struct keys keys;

	if (read_keys(text, &keys) == -1)
		snprintf(why, size, "a line is no key of the root");
	else if (count_trusted(&keys) == 0)
		snprintf(why, size, "no key in it is trusted");
	else
		return 0;
	return -1;
}

char *anchor_merge(const char *state_text, const char *before_text,
    const char *packaged_text)
{
	struct keys state, before, packaged;
	char why[64];
	struct buf out;

	if (read_keys(packaged_text, &packaged) == -1 ||
	    count_trusted(&packaged) == 0)
		return NULL;
	buf_init(&out, 4 * STATE_BYTES_MAX);
	before.count = 0;
	if (before_text != NULL)
		read_keys(before_text, &before);
	if (state_text == NULL || anchor_check(state_text, why,
	    sizeof(why)) == -1) {
		put_package(&out, &packaged);
		return buf_take(&out);
	}
	read_keys(state_text, &state);
	if (is_other_root(&state, &before, &packaged))
		put_package(&out, &packaged);
	else
		put_both(&out, state_text, &before, &packaged);
	/* All that was trusted was dropped, and what is in the package instead
	 * is revoked: it is the older one. */
	if (anchor_check(buf_string(&out), why, sizeof(why)) == -1) {
		buf_release(&out);
		return mem_dup_string(state_text);
	}
	return buf_take(&out);
}

/* --- files --- */

/* Owned by the caller; null when it is not there or cannot be read. */
static char *read_file(int directory, const char *name)
{
	int fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK |
	    O_CLOEXEC);
	struct stat status;
	char *text = NULL;
	ssize_t got;

	if (fd == -1) {
		if (errno != ENOENT)
			log_warn("cannot read", log_text("path", name),
			    log_errno(errno));
		return NULL;
	}
	if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
	    status.st_size <= STATE_BYTES_MAX) {
		text = mem_alloc(STATE_BYTES_MAX + 1);
		got = read(fd, text, STATE_BYTES_MAX);
		text[got < 0 ? 0 : got] = '\0';
	} else {
		text = mem_dup_string("this is no text of ours");
	}
	close(fd);
	return text;
}

/* As whole as its directory's owner will find it. */
static int write_file(int directory, const char *name, const char *text)
{
	size_t length = strlen(text);
	char fresh[64];
	struct stat status;
	int fd, failed;

	snprintf(fresh, sizeof(fresh), "%s.new", name);
	unlinkat(directory, fresh, 0);
	fd = openat(directory, fresh, O_WRONLY | O_CREAT | O_EXCL |
	    O_NOFOLLOW | O_CLOEXEC, 0600);
	failed = fd == -1 || fstat(directory, &status) == -1 ||
	    (geteuid() == 0 && fchown(fd, status.st_uid,
	    status.st_gid) == -1) ||
	    write(fd, text, length) != (ssize_t)length || fsync(fd) == -1 ||
	    renameat(directory, fresh, directory, name) == -1 ||
	    fsync(directory) == -1;
	if (failed)
		log_warn("cannot write", log_text("path", name),
		    log_errno(errno));
	if (fd != -1)
		close(fd);
	return failed ? -1 : 0;
}

static void set_aside(int directory, const char *why)
{
	log_error("the state of the trust anchor cannot be used: set aside, "
	    "begun anew from the packaged one", log_text("reason", why),
	    log_text("file", ANCHOR_STATE), log_text("now", ANCHOR_DAMAGED));
	if (renameat(directory, ANCHOR_STATE, directory, ANCHOR_DAMAGED) == -1)
		log_warn("cannot rename", log_text("path", ANCHOR_STATE),
		    log_errno(errno));
}

static int open_directory(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1)
		log_warn("cannot open", log_text("path", path),
		    log_errno(errno));
	return fd;
}

void anchor_set_aside(const char *path, const char *why)
{
	int directory = open_directory(path);

	if (directory == -1)
		return;
	set_aside(directory, why);
	close(directory);
}

/* What is trusted, as records that libunbound takes singly. */
static char *trusted_lines(const char *text)
{
	struct keys keys;
	struct buf out;
	size_t i;

	buf_init(&out, 4 * STATE_BYTES_MAX);
	read_keys(text, &keys);
	for (i = 0; i < keys.count; i++)
		if (keys.items[i].trust == TRUST_YES)
			add_line(&out, keys.items[i].line,
			    keys.items[i].length);
	return buf_take(&out);
}

/* Written also when nothing has changed: libunbound ends the process when it
 * cannot write, so that we had better know before. */
static int write_both(int directory, const char *state, const char *merged,
    const char *packaged)
{
	if (write_file(directory, ANCHOR_STATE, merged) == -1 ||
	    write_file(directory, ANCHOR_PACKAGED, packaged) == -1) {
		log_warn("the trust anchor will not follow changes of the "
		    "root's keys (RFC 5011) until the next start");
		return -1;
	}
	if (state == NULL || strcmp(state, merged) != 0)
		log_info("trust anchor", log_text("from", state == NULL ?
		    "the package" : "its own state and a changed package"));
	return 0;
}

static int merge_files(int directory, const char *packaged, char **keys)
{
	char *state = read_file(directory, ANCHOR_STATE);
	char *before = read_file(directory, ANCHOR_PACKAGED);
	char *merged, why[64];
	int result = -1;

	if (state != NULL && anchor_check(state, why, sizeof(why)) == -1) {
		set_aside(directory, why);
		mem_free(state);
		state = NULL;
	}
	merged = anchor_merge(state, before, packaged);
	if (merged == NULL) {
		log_warn("the trust anchor file has more than keys of the "
		    "root: it is used as it is and does not follow changes "
		    "of the root's keys (RFC 5011)");
		*keys = mem_dup_string(packaged);
	} else {
		result = write_both(directory, state, merged, packaged);
		if (result == -1)
			*keys = trusted_lines(merged);
	}
	mem_free(state);
	mem_free(before);
	mem_free(merged);
	return result;
}

int anchor_prepare(const char *path, const char *packaged, char **keys)
{
	int directory = open_directory(path);
	int result;

	*keys = NULL;
	if (directory == -1) {
		*keys = mem_dup_string(packaged);
		return -1;
	}
	result = merge_files(directory, packaged, keys);
	close(directory);
	return result;
}
