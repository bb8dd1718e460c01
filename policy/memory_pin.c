/* SPDX-License-Identifier: ISC */
/*
 * Pins: by domain, in memory and each as a row "pin:DOMAIN". What an operator
 * was told is on the disk; what the disk did not take has not happened.
 */
#include "policy/memory_private.h"

#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/idn.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/wire.h"
#include "policy/ledger.h"
#include "policy/line.h"

enum { ROW_VERSION = 1, ROW_MAX = 2048 };

#define PREFIX "pin:"

/* --- is it one? --- */

static const char *problem_of(const struct plan_pin *pin)
{
	if ((unsigned)pin->level >= PIN_LEVELS)
		return "\"level\": a pin is encrypt, verify or fingerprint";
	if (pin->fingerprint_count > PLAN_PIN_FINGERPRINTS_MAX)
		return "\"fingerprints\": a pin has eight at most";
	if (pin->level == PIN_FINGERPRINT && pin->fingerprint_count == 0)
		return "\"fingerprints\": a pin of level fingerprint needs one";
	if (pin->level != PIN_FINGERPRINT && pin->fingerprint_count > 0)
		return "\"fingerprints\": they belong to level fingerprint";
	if (!line_is_sound(pin->reason, sizeof(pin->reason)))
		return "\"reason\": one line, less than 200 bytes";
	if (!line_is_sound(pin->author, sizeof(pin->author)))
		return "\"author\": one line, less than 64 bytes";
	return NULL;
}

/* --- rows --- */

static void key_of(const char *domain, char *key, size_t size)
{
	snprintf(key, size, PREFIX "%s", domain);
}

static void make_row(struct buf *row, const struct plan_pin *pin)
{
	struct wire_writer writer;
	size_t i;

	buf_init(row, ROW_MAX);
	wire_write_begin(&writer, row);
	wire_put_u8(&writer, ROW_VERSION);
	wire_put_u8(&writer, (uint8_t)pin->level);
	wire_put_u64(&writer, (uint64_t)pin->made);
	wire_put_text(&writer, pin->reason);
	wire_put_text(&writer, pin->author);
	wire_put_u8(&writer, (uint8_t)pin->fingerprint_count);
	for (i = 0; i < pin->fingerprint_count; i++)
		wire_put_bytes(&writer, pin->fingerprints[i], DIGEST_BYTES);
	if (wire_write_end(&writer) == -1)
		bug("row of a pin");
}

static void get_fingerprints(struct wire_reader *reader, struct plan_pin *pin)
{
	const void *bytes;
	size_t length, i;

	pin->fingerprint_count = wire_get_enum(reader,
	    PLAN_PIN_FINGERPRINTS_MAX + 1);
	for (i = 0; i < pin->fingerprint_count; i++) {
		bytes = wire_get_bytes(reader, DIGEST_BYTES, &length);
		if (length != DIGEST_BYTES)
			reader->bad = true;
		else
			memcpy(pin->fingerprints[i], bytes, DIGEST_BYTES);
	}
}

static int read_row(struct plan_pin *pin, const void *value, size_t size)
{
	struct wire_reader reader;
	unsigned version;

	wire_read_begin(&reader, value, size);
	version = wire_get_u8(&reader);
	pin->level = wire_get_enum(&reader, PIN_LEVELS);
	pin->made = (int64_t)(wire_get_u64(&reader) & INT64_MAX);
	if (!memory_is_date((uint64_t)pin->made))
		return -1;
	wire_copy_text(&reader, pin->reason, sizeof(pin->reason));
	wire_copy_text(&reader, pin->author, sizeof(pin->author));
	get_fingerprints(&reader, pin);
	return wire_read_end(&reader) == -1 || version != ROW_VERSION ||
	    problem_of(pin) != NULL ? -1 : 0;
}

static void insert(struct memory *memory, const struct plan_pin *pin)
{
	mem_free(hash_put_text(memory->pins, pin->domain,
	    mem_dup(pin, sizeof(*pin))));
}

static int load(void *arg, const char *key, const void *value, size_t length)
{
	struct memory *memory = arg;
	const char *domain = key + strlen(PREFIX);
	struct plan_pin pin = { .made = 0 };

	if (domain_to_ascii(pin.domain, sizeof(pin.domain), domain) != NULL ||
	    strcmp(pin.domain, domain) != 0 ||
	    read_row(&pin, value, length) == -1 ||
	    hash_count(memory->pins) >= MEMORY_PINS_MAX)
		return -1;
	insert(memory, &pin);
	return 0;
}

static int write_pin(struct memory *memory, const struct plan_pin *pin,
    bool at_once)
{
	char key[300];
	struct buf row;
	int result = 0;

	key_of(pin->domain, key, sizeof(key));
	make_row(&row, pin);
	if (at_once)
		result = ledger_put(memory->ledger, key, buf_data(&row),
		    buf_length(&row));
	else
		ledger_put_soon(memory->ledger, key, buf_data(&row),
		    buf_length(&row));
	buf_release(&row);
	return result;
}

static void save_one(void *arg, const struct plan_pin *pin)
{
	write_pin(arg, pin, false);
}

static void save(void *arg)
{
	memory_each_pin(arg, save_one, arg);
}

/* --- what others call --- */

const struct plan_pin *memory_pin(struct memory *memory, const char *domain)
{
	char name[256];

	if (memory_read_name(domain, name, sizeof(name)) == -1)
		return NULL;
	return hash_find_text(memory->pins, name);
}

/* Null, or a sentence: then all is as it was, also for the next start. */
static const char *write_new(struct memory *memory,
    const struct plan_pin *pin)
{
	const struct plan_pin *before;
	char key[300];

	if (!ledger_is_away(memory->ledger)) {
		if (write_pin(memory, pin, true) == 0)
			return NULL;
		before = hash_find_text(memory->pins, pin->domain);
		key_of(pin->domain, key, sizeof(key));
		if (before != NULL)
			write_pin(memory, before, true);
		else
			ledger_delete(memory->ledger, key);
	}
	return "the pin cannot be written to the disk: the log says why";
}

const char *memory_set_pin(struct memory *memory, const struct plan_pin *pin)
{
	struct plan_pin made = *pin;
	const char *problem;

	problem = domain_to_ascii(made.domain, sizeof(made.domain),
	    pin->domain);
	if (problem == NULL)
		problem = problem_of(&made);
	if (problem != NULL)
		return problem;
	if (hash_count(memory->pins) >= MEMORY_PINS_MAX &&
	    hash_find_text(memory->pins, made.domain) == NULL)
		return "there are too many pins";
	if (made.made <= 0)
		made.made = clock_wall();
	problem = write_new(memory, &made);
	if (problem != NULL)
		return problem;
	insert(memory, &made);
	memory_tell(memory, made.domain);
	return NULL;
}

/* Taken away from here on, even if the disk does not take it now. */
bool memory_unpin(struct memory *memory, const char *domain)
{
	char name[256], key[300];
	struct plan_pin *pin;

	if (domain_to_ascii(name, sizeof(name), domain) != NULL)
		return false;
	pin = hash_remove_text(memory->pins, name);
	if (pin == NULL)
		return false;
	mem_free(pin);
	key_of(name, key, sizeof(key));
	ledger_delete(memory->ledger, key);
	memory_tell(memory, name);
	return true;
}

struct walk {
	void	(*visit)(void *arg, const struct plan_pin *pin);
	void	*arg;
};

static void walk_one(void *arg, const void *key, size_t length, void *value)
{
	const struct walk *walk = arg;

	(void)key;
	(void)length;
	walk->visit(walk->arg, value);
}

void memory_each_pin(const struct memory *memory,
    void (*visit)(void *arg, const struct plan_pin *pin), void *arg)
{
	struct walk walk = { visit, arg };

	hash_each(memory->pins, walk_one, &walk);
}

void memory_add_pins(struct memory *memory)
{
	memory->pins = hash_new();
	ledger_add(memory->ledger, PREFIX, load, memory);
	ledger_on_loss(memory->ledger, PREFIX, save);
}

static void free_one(void *arg, const void *key, size_t length, void *value)
{
	(void)arg;
	(void)key;
	(void)length;
	mem_free(value);
}

void memory_free_pins(struct memory *memory)
{
	hash_each(memory->pins, free_one, NULL);
	hash_free(memory->pins);
}
