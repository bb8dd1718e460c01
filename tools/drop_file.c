/* SPDX-License-Identifier: ISC */
/*
 * The directory is written to by everybody and read by nobody but its owner,
 * so it cannot always be synchronised by itself: then the file system is.
 */
#include "tools/drop_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/address.h"
#include "base/buf.h"
#include "base/digest.h"
#include "base/mem.h"
#include "tools/outgoing.h"

#define MAGIC "postern-drop 1"
enum { DIGITS = 32, LINE_MAX_BYTES = ADDRESS_MAX + 32 };

bool drop_is_name(const char *name, const char *prefix)
{
	size_t length = strlen(prefix);

	return strncmp(name, prefix, length) == 0 &&
	    strspn(name + length, "0123456789abcdef") == DIGITS &&
	    name[length + DIGITS] == '\0';
}

static int failed(char *problem, const char *doing, const char *path)
{
	snprintf(problem, DROP_PROBLEM, "cannot %s %.150s: %s", doing, path,
	    strerror(errno));
	return -1;
}

static void write_head(struct buf *head, const struct outgoing *outgoing)
{
	buf_print(head, MAGIC "\nfrom %s\n", outgoing->sender);
	for (size_t i = 0; i < outgoing->recipients.count; i++)
		buf_print(head, "to %s\n", outgoing->recipients.items[i]);
	if (outgoing->eight_bit)
		buf_print(head, "body 8BITMIME\n");
	if (outgoing->notify[0] != '\0')
		buf_print(head, "notify %s\n", outgoing->notify);
	if (outgoing->ret[0] != '\0')
		buf_print(head, "ret %s\n", outgoing->ret);
	if (outgoing->envid[0] != '\0')
		buf_print(head, "envid %s\n", outgoing->envid);
	buf_print(head, "size %zu\n\n", buf_length(&outgoing->message));
}

static int write_all(int fd, const char *data, size_t length)
{
	ssize_t written;

	while (length > 0) {
		written = write(fd, data, length);
		if (written == -1 && errno != EINTR)
			return -1;
		if (written > 0) {
			data += written;
			length -= (size_t)written;
		}
	}
	return 0;
}

static int write_file(int fd, const struct outgoing *outgoing)
{
	struct buf head;
	int result;

	buf_init(&head, DROP_HEAD_MAX);
	write_head(&head, outgoing);
	/* Whatever the umask was: who owns it must be able to read it. */
	result = fchmod(fd, S_IRUSR | S_IWUSR);
	if (result == 0)
		result = write_all(fd, buf_data(&head), buf_length(&head));
	if (result == 0)
		result = write_all(fd, buf_data(&outgoing->message),
		    buf_length(&outgoing->message));
	buf_release(&head);
	return result == 0 ? fsync(fd) : -1;
}

/* The new name is on the disk. */
static int sync_name(const char *directory, int fd)
{
	int folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result;

	if (folder == -1)
		return syncfs(fd);
	result = fsync(folder);
	close(folder);
	return result;
}

/* path and final are the two names of it. */
static int write_named(const char *directory, const char *path,
    const char *final, const struct outgoing *outgoing, char *problem)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW |
	    O_CLOEXEC, S_IRUSR | S_IWUSR);
	const char *left = path;
	int result = 0;

	if (fd == -1)
		return failed(problem, "make a file in", directory);
	if (write_file(fd, outgoing) == -1)
		result = failed(problem, "write", path);
	if (result == 0 && rename(path, final) == -1)
		result = failed(problem, "rename", path);
	else if (result == 0)
		left = final;
	if (result == 0 && sync_name(directory, fd) == -1)
		result = failed(problem, "synchronise", directory);
	if (result == -1)
		unlink(left);
	close(fd);
	return result;
}

int drop_write(const char *directory, const struct outgoing *outgoing,
    char *problem)
{
	char digits[DIGITS + 1], *path, *final;
	uint8_t number[DIGITS / 2];
	int result;

	random_bytes(number, sizeof(number));
	hex_format(number, sizeof(number), digits, sizeof(digits));
	path = mem_print("%s/" DROP_TEMPORARY "%s", directory, digits);
	final = mem_print("%s/" DROP_PREFIX "%s", directory, digits);
	result = write_named(directory, path, final, outgoing, problem);
	mem_free(path);
	mem_free(final);
	return result;
}

/* --- reading --- */

static int malformed(char *problem, const char *what)
{
	snprintf(problem, DROP_PROBLEM, "not a mail that sendmail wrote: %s",
	    what);
	return -1;
}

static int take_sender(struct outgoing *outgoing, const char *value)
{
	struct address address;

	if (value[0] != '\0' && address_parse(&address, value) != ADDRESS_OK)
		return -1;
	mem_free(outgoing->sender);
	outgoing->sender = mem_dup_string(value);
	return 0;
}

/* What address_format() wrote is one address that reads as itself. */
static int take_recipient(struct outgoing *outgoing, const char *value)
{
	size_t before = outgoing->recipients.count;
	char ignored[ADDRESS_LIST_PROBLEM];
	struct address address;

	if (address_parse(&address, value) != ADDRESS_OK ||
	    address_list_parse(&outgoing->recipients, value, strlen(value), "",
	    ignored) == -1)
		return -1;
	return outgoing->recipients.count == before + 1 ? 0 : -1;
}

/* Printable ASCII without space goes into a command as it is. */
static int take_word(char *out, size_t size, const char *value)
{
	size_t length = strlen(value);

	if (length == 0 || length >= size)
		return -1;
	for (size_t i = 0; i < length; i++)
		if (value[i] <= ' ' || value[i] > '~')
			return -1;
	memcpy(out, value, length + 1);
	return 0;
}

static int take_line(struct outgoing *outgoing, const char *key,
    const char *value)
{
	if (strcmp(key, "from") == 0)
		return take_sender(outgoing, value);
	if (strcmp(key, "to") == 0)
		return take_recipient(outgoing, value);
	if (strcmp(key, "body") == 0) {
		outgoing->eight_bit = true;
		return strcmp(value, "8BITMIME") == 0 ? 0 : -1;
	}
	if (strcmp(key, "notify") == 0)
		return take_word(outgoing->notify, sizeof(outgoing->notify),
		    value);
	if (strcmp(key, "ret") == 0)
		return take_word(outgoing->ret, sizeof(outgoing->ret), value);
	if (strcmp(key, "envid") == 0)
		return take_word(outgoing->envid, sizeof(outgoing->envid),
		    value);
	return -1;
}

/* Digits only, of a number that is below the ceiling of a message. */
static int read_size(const char *value, size_t *size)
{
	size_t length = strlen(value);

	*size = 0;
	if (length == 0 || length > 15 ||
	    strspn(value, "0123456789") != length)
		return -1;
	for (; *value != '\0'; value++)
		*size = *size * 10 + (size_t)(*value - '0');
	return 0;
}

/* The next line of the head, without its end, in line. How many bytes it was;
 * 0 if there is none, or one that is too long or has a NUL. */
static size_t next_line(const char *text, size_t length, char *line)
{
	const char *end = memchr(text, '\n', length < LINE_MAX_BYTES ?
	    length : LINE_MAX_BYTES);
	size_t used;

	if (end == NULL)
		return 0;
	used = (size_t)(end - text);
	memcpy(line, text, used);
	line[used] = '\0';
	return strlen(line) == used ? used + 1 : 0;
}

int drop_read(struct outgoing *outgoing, const char *text, size_t length,
    char *problem)
{
	char line[LINE_MAX_BYTES + 1], *value;
	size_t at, used, size = 0;
	bool sized = false;

	at = next_line(text, length, line);
	if (at == 0 || strcmp(line, MAGIC) != 0)
		return malformed(problem, "its first line is another");
	while ((used = next_line(text + at, length - at, line)) > 1) {
		at += used;
		value = strchr(line, ' ');
		if (value == NULL || sized)
			return malformed(problem, "its envelope");
		*value++ = '\0';
		sized = strcmp(line, "size") == 0;
		if (sized ? read_size(value, &size) == -1 :
		    take_line(outgoing, line, value) == -1)
			return malformed(problem, "its envelope");
	}
	if (used == 0 || !sized || outgoing->recipients.count == 0)
		return malformed(problem, "its envelope is cut");
	at += used;
	if (length - at != size)
		return malformed(problem, "its message is cut, or too long");
	if (buf_add(&outgoing->message, text + at, size) == -1)
		return malformed(problem, "its message is too large");
	return 0;
}
