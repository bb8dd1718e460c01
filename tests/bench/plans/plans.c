/* SPDX-License-Identifier: ISC */
/*
 * plans [-n DESTINATIONS] [-r ROUNDS] [-w WINDOW]: how many plans a minute the
 * role `policy` makes, each for another destination; first with nothing known,
 * then ROUNDS times with the answers of the DNS in the resolver's cache. Three
 * processes: policy as it runs, its name server (world.c), and this one, which
 * plays delivery over a channel with WINDOW questions open.
 *
 * Every plan is looked at. The run has failed when one is not what its
 * destination published and policy remembers; when a warm pass asked the name
 * server about a destination, or read from the tables on the disk; and when the
 * median of the warm passes is below 10,000 plans a minute.
 */
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/channel.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "policy/message.h"
#include "policy/plan.h"
#include "tests/bench/plans/role.h"
#include "tests/bench/plans/world.h"

enum { QUEUED_MAX = 16 << 20, PATIENCE_SECONDS = 600, ROUNDS_MAX = 100,
    DESTINATIONS_MAX = 99999 };

/* 10,000 a minute. */
#define GOAL_A_SECOND (10000 / 60.0)

struct shared {
	struct world_count	 world;
	struct role_count	 role;
};

struct pass {
	double		 rate;		/* plans a second */
	int64_t		 median, slow;	/* microseconds, of 50 and 99 % */
	unsigned long	 questions, others, reads, pages;
	double		 policy_micro;	/* CPU for each plan */
	long		 resident;	/* of policy, KiB */
};

static struct {
	unsigned	 destinations, rounds, window;
	char		 folder[40];
	struct shared	*shared;
	pid_t		 server, policy;
	struct channel	*channel;

	/* of this pass */
	int64_t		*asked;		/* when; then, how long it took */
	unsigned	 next, answered;
	unsigned	 wrong;		/* of all passes */
} bench = { .destinations = 10000, .rounds = 5, .window = 200,
    .folder = "/tmp/postern-plans-XXXXXX" };

/* --- figures --- */

static int64_t micro_of(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t policy_cpu(void)
{
	clockid_t clock;

	return clock_getcpuclockid(bench.policy, &clock) == 0 ?
	    micro_of(clock) : 0;
}

static long policy_resident(void)
{
	char path[64], line[200];
	long pages = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%ld/statm", (long)bench.policy);
	file = fopen(path, "r");
	if (file == NULL)
		return 0;
	if (fgets(line, sizeof(line), file) == NULL ||
	    sscanf(line, "%*d %ld", &pages) != 1)
		pages = 0;
	fclose(file);
	return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int compare_times(const void *one, const void *other)
{
	int64_t a = *(const int64_t *)one, b = *(const int64_t *)other;

	return a < b ? -1 : a > b;
}

static int compare_rates(const void *one, const void *other)
{
	const struct pass *a = one, *b = other;

	return a->rate < b->rate ? -1 : a->rate > b->rate;
}

static void print_pass(const char *name, const struct pass *pass)
{
	printf("%-8s %9.0f %8.1f %8.1f %10lu %7lu %7lu %9.0f %8.1f\n", name,
	    pass->rate, (double)pass->median / 1000,
	    (double)pass->slow / 1000, pass->questions, pass->reads,
	    pass->pages, pass->policy_micro,
	    (double)pass->resident / 1024);
	fflush(stdout);
}

/* --- delivery --- */

/* The plan that the destination must get. */
static bool is_right(unsigned number, const struct plan *plan)
{
	const struct plan_host *host = plan->hosts;

	if (plan->host_count != 1 || host->skip)
		return false;
	if (role_has_exception(number))
		return plan->exception != 0 &&
		    host->requirement == REQUIRE_OPPORTUNISTIC &&
		    host->ideal == REQUIRE_DANE;
	switch (world_kind(number)) {
	case WORLD_DANE:
		return host->requirement == REQUIRE_DANE &&
		    host->source == SOURCE_DANE;
	case WORLD_STS:
	case WORLD_SIGNED_STS:
		return host->requirement == REQUIRE_NAME &&
		    host->source == SOURCE_STS;
	default:
		return host->requirement == REQUIRE_OPPORTUNISTIC &&
		    host->expects_tls == role_is_remembered(number);
	}
}

static void ask_next(void)
{
	struct wire_writer *writer;
	char domain[40];

	if (bench.next == bench.destinations)
		return;
	world_domain(bench.next, domain, sizeof(domain));
	bench.asked[bench.next] = micro_of(CLOCK_MONOTONIC);
	writer = channel_begin(bench.channel, POLICY_PLAN, ++bench.next);
	wire_put_text(writer, domain);
	wire_put_text(writer, domain);
	wire_put_u16(writer, 25);
	wire_put_u8(writer, 1);
	wire_put_u8(writer, 0);
	wire_put_u64(writer, 60);
	wire_put_u8(writer, WISH_NONE);
	wire_put_u8(writer, 0);
	channel_end(bench.channel);
}

static void on_message(void *arg, struct channel *channel,
    struct channel_message *message)
{
	unsigned number = message->request - 1;
	struct arena *arena;
	struct plan *plan;

	(void)arg;
	(void)channel;
	if (message->type != POLICY_PLAN_ANSWER)
		return;
	arena = arena_new(PLAN_MEMORY_MAX);
	plan = plan_get(&message->body, arena);
	if (plan == NULL || number >= bench.destinations ||
	    !is_right(number, plan)) {
		if (bench.wrong++ < 10)
			fprintf(stderr, "plans: destination %u: %s\n", number,
			    plan == NULL ? "no plan" : plan->host_count == 0 ?
			    plan->status.text : plan->hosts[0].skip ?
			    plan->hosts[0].skipped.text :
			    plan->hosts[0].reason);
	}
	arena_free(arena);
	bench.asked[number] = micro_of(CLOCK_MONOTONIC) - bench.asked[number];
	ask_next();
	if (++bench.answered == bench.destinations)
		loop_stop();
}

static void on_closed(void *arg, struct channel *channel)
{
	(void)arg;
	(void)channel;
	fprintf(stderr, "plans: policy is gone\n");
	exit(1);
}

static void give_up(void *arg)
{
	(void)arg;
	fprintf(stderr, "plans: %u of %u answers after %d s\n",
	    bench.answered, bench.destinations, PATIENCE_SECONDS);
	exit(1);
}

static void take_counts(struct pass *pass)
{
	pass->questions = atomic_load(&bench.shared->world.questions);
	pass->others = atomic_load(&bench.shared->world.others);
	pass->reads = atomic_load(&bench.shared->role.reads);
	pass->pages = atomic_load(&bench.shared->role.pages);
}

static void run_pass(struct pass *pass)
{
	int64_t began = micro_of(CLOCK_MONOTONIC), cpu = policy_cpu(), took;
	struct timer patience = { .event = NULL };
	struct pass before;
	unsigned i;

	take_counts(&before);
	bench.next = bench.answered = 0;
	for (i = 0; i < bench.window; i++)
		ask_next();
	timer_start(&patience, PATIENCE_SECONDS * 1000, give_up, NULL);
	loop_run();
	timer_stop(&patience);
	took = micro_of(CLOCK_MONOTONIC) - began;
	take_counts(pass);
	pass->questions -= before.questions;
	pass->others -= before.others;
	pass->reads -= before.reads;
	pass->pages -= before.pages;
	pass->rate = bench.destinations * 1e6 / (double)took;
	pass->policy_micro = (double)(policy_cpu() - cpu) /
	    bench.destinations;
	pass->resident = policy_resident();
	qsort(bench.asked, bench.destinations, sizeof(*bench.asked),
	    compare_times);
	pass->median = bench.asked[bench.destinations / 2];
	pass->slow = bench.asked[bench.destinations * 99 / 100];
}

/* --- processes --- */

/* In the child: it goes when we do. */
static pid_t fork_child(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == -1) {
		perror("plans: fork");
		exit(1);
	}
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (getppid() != parent)
			_exit(1);
	}
	return pid;
}

static void fill(const struct role_world *world)
{
	pid_t pid = fork_child();
	int status;

	if (pid == 0) {
		role_fill(world);
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0) {
		fprintf(stderr, "plans: the tables could not be filled\n");
		exit(1);
	}
}

static void start_server(int fd)
{
	bench.server = fork_child();
	if (bench.server == 0)
		world_serve(fd, &bench.shared->world);
	close(fd);
}

static int start_policy(const struct role_world *world)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0,
	    fds) == -1) {
		perror("plans: socketpair");
		exit(1);
	}
	bench.policy = fork_child();
	if (bench.policy == 0) {
		close(fds[0]);
		role_run(world, fds[1]);
		_exit(0);
	}
	close(fds[1]);
	return fds[0];
}

static void start(void)
{
	static const struct channel_rule rules[] = {
		{ .type = POLICY_PLAN_ANSWER, .max = POLICY_PLAN_MAX },
		{ .type = POLICY_CHANGED, .max = POLICY_NAME_MAX + 8 },
	};
	static const struct channel_handler handler = { .rules = rules,
	    .rule_count = 2, .message = on_message, .closed = on_closed };
	struct endpoint address;
	int fd = world_open(&address);
	struct role_world world = { .directory = bench.folder,
	    .port = endpoint_port(&address),
	    .destinations = bench.destinations,
	    .count = &bench.shared->role };

	start_server(fd);
	fill(&world);
	fd = start_policy(&world);
	loop_init();
	bench.channel = channel_new(fd, "policy", &handler, NULL, QUEUED_MAX);
}

static void end(void)
{
	channel_free(bench.channel);
	kill(bench.policy, SIGTERM);
	waitpid(bench.policy, NULL, 0);
	kill(bench.server, SIGKILL);
	waitpid(bench.server, NULL, 0);
	loop_release();
}

static int remove_one(const char *path, const struct stat *about, int type,
    struct FTW *walk)
{
	(void)about;
	(void)type;
	(void)walk;
	return remove(path);
}

static void make_folder(void)
{
	char path[60];

	if (mkdtemp(bench.folder) == NULL) {
		perror(bench.folder);
		exit(1);
	}
	snprintf(path, sizeof(path), "%s/policy", bench.folder);
	if (mkdir(path, 0700) == -1) {
		perror(path);
		exit(1);
	}
}

/* --- verdict --- */

static int check(bool good, const char *what)
{
	printf("%-6s  %s\n", good ? "ok" : "FAILED", what);
	return good;
}

static int judge(const struct pass *warm)
{
	bool silent = true, unread = true;
	int good = 0;
	unsigned i;

	for (i = 0; i < bench.rounds; i++) {
		silent = silent && warm[i].questions == 0;
		unread = unread && warm[i].reads == 0;
	}
	good += check(bench.wrong == 0, "every plan is what it must be");
	good += check(silent, "warm: no question to the name server");
	good += check(unread, "warm: no row read from the database");
	good += check(warm[bench.rounds / 2].rate >= GOAL_A_SECOND,
	    "warm: 10,000 plans a minute or more");
	printf("bench: %d passed, %d failed\n", good, 4 - good);
	return good == 4 ? 0 : 1;
}

static int run(void)
{
	static struct pass cold, warm[ROUNDS_MAX];
	unsigned i;

	printf("%-8s %9s %8s %8s %10s %7s %7s %9s %8s\n", "pass", "plans/s",
	    "p50 ms", "p99 ms", "questions", "reads", "pages", "us/plan",
	    "MiB");
	run_pass(&cold);
	print_pass("cold", &cold);
	for (i = 0; i < bench.rounds; i++) {
		run_pass(&warm[i]);
		print_pass("warm", &warm[i]);
	}
	qsort(warm, bench.rounds, sizeof(*warm), compare_rates);
	print_pass("median", &warm[bench.rounds / 2]);
	return judge(warm);
}

static unsigned read_number(const char *text, unsigned highest)
{
	char *rest;
	unsigned long value = strtoul(text, &rest, 10);

	if (*text == '\0' || *rest != '\0' || value == 0 || value > highest) {
		fprintf(stderr, "plans: %s: a number from 1 to %u is "
		    "expected\n", text, highest);
		exit(2);
	}
	return (unsigned)value;
}

int main(int argc, char **argv)
{
	int option, status;

	while ((option = getopt(argc, argv, "n:r:w:")) != -1)
		switch (option) {
		case 'n':
			bench.destinations = read_number(optarg,
			    DESTINATIONS_MAX);
			break;
		case 'r':
			bench.rounds = read_number(optarg, ROUNDS_MAX);
			break;
		case 'w':
			bench.window = read_number(optarg, 4000);
			break;
		default:
			fprintf(stderr, "usage: plans [-n destinations] "
			    "[-r rounds] [-w window]\n");
			return 2;
		}
	log_init("plans", LOG_LEVEL_ERROR);
	bench.shared = mmap(NULL, sizeof(*bench.shared),
	    PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bench.asked = mem_alloc_array(bench.destinations,
	    sizeof(*bench.asked));
	if (bench.shared == MAP_FAILED)
		return 1;
	make_folder();
	start();
	status = run();
	end();
	nftw(bench.folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	mem_free(bench.asked);
	return status;
}
