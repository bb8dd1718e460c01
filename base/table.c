/* SPDX-License-Identifier: ISC */
/*
 * The first record, at a fixed place behind the 2048 bytes of a CDB's index:
 *
 *	key	NUL "postern"
 *	value	digest (32 bytes), u32 version, u32 entries,
 *		kind (TABLE_KIND_MAX bytes, filled with NUL), source
 *
 * The digest is over the whole file with zeros in its own place. No other key
 * begins with NUL.
 */
#include "base/table.h"

#include <cdb.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/mem.h"
#include "base/wire.h"

static const char first_key[] = "\0postern";

enum { VERSION = 1, INDEX_BYTES = 2048, LENGTHS_BYTES = 8,
    FIRST_KEY_BYTES = sizeof(first_key) - 1,
    DIGEST_AT = INDEX_BYTES + LENGTHS_BYTES + FIRST_KEY_BYTES,
    COUNT_AT = DIGEST_AT + DIGEST_BYTES + 4,
    KIND_AT = COUNT_AT + 4,
    SOURCE_AT = KIND_AT + TABLE_KIND_MAX,
    PIECE_BYTES = 256 << 10,
    SEALS = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

struct table {
	struct cdb	 cdb;		/* owned: the mapping, read only */
	int		 fd;		/* owned */
	unsigned	 owners;
	size_t		 bytes;
	uint32_t	 count;
	char		 kind[TABLE_KIND_MAX];
	char		 source[TABLE_SOURCE_MAX];
};

struct table_writer {
	struct cdb_make	 make;
	int		 fd;		/* owned; -1: it could not be made */
	int		 error;		/* errno value of the first failure */
	uint32_t	 count;
};

static const char not_ours[] = "it is no table of Postern's, or it was cut; "
    "make it with `postern table build`";
static const char damaged[] = "it is damaged: its digest does not fit; make it "
    "again with `postern table build`";

bool table_is_path(const char *path)
{
	size_t length = strlen(path);

	return length > 4 && strcmp(path + length - 4, ".cdb") == 0;
}

/* --- memory that nobody can change --- */

static int new_memory(void)
{
	return memfd_create("postern-table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
}

/* The sealed memory by a descriptor for reading; owns fd. Before Linux 6.7 a
 * sealed one that could write cannot even be mapped. -1 with errno. */
static int seal(int fd)
{
	char path[40];
	int result = -1;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (fcntl(fd, F_ADD_SEALS, SEALS) == 0)
		result = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return result;
}

static int write_all(int fd, const void *data, size_t length)
{
	const char *at = data;

	while (length > 0) {
		ssize_t put = write(fd, at, length);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return -1;
		at += put;
		length -= (size_t)put;
	}
	return 0;
}

/* --- opening --- */

/* Over all of it, but for the digest's own place. */
static void digest_table(const uint8_t *data, size_t length, uint8_t *out)
{
	static const uint8_t zeros[DIGEST_BYTES];
	struct digest *digest = digest_new();

	digest_add(digest, data, DIGEST_AT);
	digest_add(digest, zeros, DIGEST_BYTES);
	digest_add(digest, data + COUNT_AT - 4, length - (COUNT_AT - 4));
	digest_end(digest, out);
}

static bool is_whole(const struct table *table)
{
	uint8_t found[DIGEST_BYTES];

	digest_table(table->cdb.cdb_mem, table->bytes, found);
	return memcmp(found, table->cdb.cdb_mem + DIGEST_AT,
	    DIGEST_BYTES) == 0;
}

/* What the first record says; -1 if it is not ours. */
static int read_first(struct table *table)
{
	struct cdb cdb = table->cdb;
	const uint8_t *data = cdb.cdb_mem;
	struct wire_reader reader;
	size_t length;

	if (table->bytes < SOURCE_AT || memcmp(data + INDEX_BYTES +
	    LENGTHS_BYTES, first_key, FIRST_KEY_BYTES) != 0 ||
	    cdb_find(&cdb, first_key, FIRST_KEY_BYTES) != 1 ||
	    cdb_datapos(&cdb) != DIGEST_AT ||
	    cdb_datalen(&cdb) < SOURCE_AT - DIGEST_AT)
		return -1;
	wire_read_begin(&reader, data + COUNT_AT - 4, 8);
	if (wire_get_u32(&reader) != VERSION)
		return -1;
	table->count = wire_get_u32(&reader);
	memcpy(table->kind, data + KIND_AT, TABLE_KIND_MAX - 1);
	length = cdb_datalen(&cdb) - (SOURCE_AT - DIGEST_AT);
	if (length >= TABLE_SOURCE_MAX || table->count > TABLE_ENTRIES_MAX)
		return -1;
	memcpy(table->source, data + SOURCE_AT, length);
	return 0;
}

static bool is_sealed(int fd)
{
	int seals = fcntl(fd, F_GET_SEALS);

	return seals != -1 && (seals & SEALS) == SEALS;
}

struct table *table_open(int fd, const char **why)
{
	struct table *table = mem_alloc(sizeof(*table));
	struct stat status;

	table->fd = fd;
	table->owners = 1;
	table->cdb.cdb_fd = -1;
	*why = not_ours;
	if (!is_sealed(fd) || fstat(fd, &status) == -1)
		*why = "its memory is not sealed";
	else if (status.st_size < SOURCE_AT || status.st_size >
	    TABLE_BYTES_MAX)
		;
	else if (cdb_init(&table->cdb, fd) == -1)
		*why = strerror(errno);
	else {
		table->bytes = (size_t)status.st_size;
		if (read_first(table) == 0)
			return table;
	}
	table_release(table);
	return NULL;
}

static int copy_file(int from, int to, size_t size)
{
	char *piece = mem_alloc(PIECE_BYTES);
	size_t length = 0;
	ssize_t got = -1;

	while (length <= size) {
		got = read(from, piece, PIECE_BYTES);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || write_all(to, piece, (size_t)got) == -1)
			break;
		length += (size_t)got;
	}
	mem_free(piece);
	/* Shorter, or longer, than it was. */
	if (got == 0 || length > size)
		errno = EAGAIN;
	return got == 0 && length == size ? 0 : -1;
}

/* Without O_NONBLOCK a named pipe would stop us for ever. */
static int copy_sealed(const char *path, struct stat *status, const char **why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int memory = -1;

	if (fd == -1 || fstat(fd, status) == -1) {
		*why = strerror(errno);
	} else if (!S_ISREG(status->st_mode)) {
		*why = "it is not a regular file";
	} else if (status->st_size > TABLE_BYTES_MAX) {
		*why = "it is larger than 512M";
	} else if ((memory = new_memory()) == -1) {
		*why = strerror(errno);
	} else if (copy_file(fd, memory, (size_t)status->st_size) == -1) {
		*why = errno == EAGAIN ? "it changes while it is read" :
		    strerror(errno);
		close(memory);
		memory = -1;
	}
	if (fd != -1)
		close(fd);
	if (memory == -1)
		return -1;
	memory = seal(memory);
	if (memory == -1)
		*why = strerror(errno);
	return memory;
}

struct table *table_load(const char *path, struct stat *status,
    const char **why)
{
	struct stat unused;
	int fd = copy_sealed(path, status != NULL ? status : &unused, why);
	struct table *table = fd == -1 ? NULL : table_open(fd, why);

	if (table == NULL || is_whole(table))
		return table;
	*why = damaged;
	table_release(table);
	return NULL;
}

struct table *table_open_bytes(const void *data, size_t length,
    const char **why)
{
	int fd = new_memory();

	*why = "there is no memory for it";
	if (fd == -1)
		return NULL;
	if (write_all(fd, data, length) == -1) {
		close(fd);
		return NULL;
	}
	fd = seal(fd);
	return fd == -1 ? NULL : table_open(fd, why);
}

struct table *table_hold(struct table *table)
{
	table->owners++;
	return table;
}

void table_release(struct table *table)
{
	if (table == NULL || --table->owners > 0)
		return;
	if (table->cdb.cdb_mem != NULL)
		cdb_free(&table->cdb);
	close(table->fd);
	mem_free(table);
}

/* --- what is in it --- */

int table_descriptor(const struct table *table)
{
	return table->fd;
}

size_t table_bytes(const struct table *table)
{
	return table->bytes;
}

const char *table_kind(const struct table *table)
{
	return table->kind;
}

const char *table_source(const struct table *table)
{
	return table->source;
}

size_t table_count(const struct table *table)
{
	return table->count;
}

const void *table_data(const struct table *table)
{
	return table->cdb.cdb_mem;
}

/* libcdb found something: where it is within the mapping is asked once more,
 * since its own arithmetic may wrap round. */
static enum table_answer take(const struct cdb *cdb, struct table_entry *entry)
{
	entry->key_length = cdb_keylen(cdb);
	entry->length = cdb_datalen(cdb);
	if (entry->key_length > TABLE_KEY_MAX ||
	    entry->length > TABLE_VALUE_MAX)
		return TABLE_DAMAGED;
	entry->key = cdb_getkey(cdb);
	entry->value = cdb_getdata(cdb);
	return entry->key == NULL || entry->value == NULL ? TABLE_DAMAGED :
	    TABLE_FOUND;
}

enum table_answer table_find(const struct table *table, const void *key,
    size_t length, struct table_entry *entry)
{
	struct cdb cdb = table->cdb;
	int found;

	if (length == 0 || length > TABLE_KEY_MAX ||
	    *(const char *)key == '\0')
		return TABLE_NONE;
	found = cdb_find(&cdb, key, (unsigned)length);
	if (found == 0)
		return TABLE_NONE;
	return found < 0 ? TABLE_DAMAGED : take(&cdb, entry);
}

enum table_answer table_next(const struct table *table, uint32_t *position,
    struct table_entry *entry)
{
	struct cdb cdb = table->cdb;
	unsigned before = *position == 0 ? SOURCE_AT + (unsigned)
	    strlen(table->source) : *position;
	unsigned after = before;
	int found = cdb_seqnext(&after, &cdb);

	if (found == 0)
		return TABLE_NONE;
	/* Forward always, or a damaged one would never end. */
	if (found < 0 || after <= before)
		return TABLE_DAMAGED;
	*position = after;
	return take(&cdb, entry);
}

/* --- writing --- */

static void fail(struct table_writer *writer)
{
	if (writer->error == 0)
		writer->error = errno != 0 ? errno : EIO;
}

static void add_first(struct table_writer *writer, const char *kind,
    const char *source)
{
	char value[SOURCE_AT - DIGEST_AT + TABLE_SOURCE_MAX] = "";
	size_t length = strlen(source);

	if (length >= TABLE_SOURCE_MAX)
		length = TABLE_SOURCE_MAX - 1;
	memcpy(value + SOURCE_AT - DIGEST_AT, source, length);
	memcpy(value + KIND_AT - DIGEST_AT, kind, strlen(kind));
	value[DIGEST_BYTES + 3] = VERSION;
	if (cdb_make_add(&writer->make, first_key, FIRST_KEY_BYTES, value,
	    (unsigned)(SOURCE_AT - DIGEST_AT + length)) == -1)
		fail(writer);
}

struct table_writer *table_writer_new(const char *kind, const char *source)
{
	struct table_writer *writer = mem_alloc(sizeof(*writer));

	writer->fd = new_memory();
	if (writer->fd == -1 ||
	    cdb_make_start(&writer->make, writer->fd) == -1)
		fail(writer);
	else
		add_first(writer, kind, source);
	return writer;
}

void table_writer_add(struct table_writer *writer, const void *key,
    size_t key_length, const void *value, size_t length)
{
	if (writer->error != 0)
		return;
	if (key_length > TABLE_KEY_MAX || length > TABLE_VALUE_MAX ||
	    writer->make.cdb_dpos > TABLE_BYTES_MAX ||
	    ++writer->count > TABLE_ENTRIES_MAX) {
		errno = EFBIG;
		fail(writer);
	} else if (cdb_make_add(&writer->make, key, (unsigned)key_length,
	    value, (unsigned)length) == -1)
		fail(writer);
}

/* Puts the count, then the digest, where they belong. */
static int finish(struct table_writer *writer)
{
	uint8_t digest[DIGEST_BYTES], count[4];
	struct stat status;
	void *data;

	if (cdb_make_finish(&writer->make) == -1)
		return -1;
	for (int i = 0; i < 4; i++)
		count[i] = (uint8_t)(writer->count >> (24 - 8 * i));
	if (pwrite(writer->fd, count, 4, COUNT_AT) != 4 ||
	    fstat(writer->fd, &status) == -1)
		return -1;
	if (status.st_size > TABLE_BYTES_MAX) {
		errno = EFBIG;
		return -1;
	}
	data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED,
	    writer->fd, 0);
	if (data == MAP_FAILED)
		return -1;
	digest_table(data, (size_t)status.st_size, digest);
	munmap(data, (size_t)status.st_size);
	return pwrite(writer->fd, digest, DIGEST_BYTES, DIGEST_AT) ==
	    DIGEST_BYTES ? 0 : -1;
}

/* libcdb frees its lists in cdb_make_finish() only. */
struct table *table_writer_end(struct table_writer *writer, const char **why)
{
	struct table *table = NULL;
	int fd = writer->fd;

	errno = 0;
	if (fd != -1 && finish(writer) == -1)
		fail(writer);
	if (writer->error == 0) {
		fd = seal(fd);
		if (fd == -1)
			fail(writer);
		else
			table = table_open(fd, why);
	} else if (fd != -1) {
		close(fd);
	}
	if (writer->error != 0)
		*why = writer->error == EFBIG ? "it would be larger than "
		    "512M" : strerror(writer->error);
	mem_free(writer);
	return table;
}
