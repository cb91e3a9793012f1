/* SPDX-License-Identifier: Apache-2.0 */
/* The gate of a LU: who goes in with whom, who waits, in which order, and that none is forgotten.
 */
#include "scsi/gate.h"
#include "util/engine.h"
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka.h wants these above first. */
#include <cmocka.h>

#define HANG_S 120

struct walker {
	struct scsi_gate_pass pass;
	unsigned n_told;
	unsigned nth; /* the how manieth to be told */
};

static struct scsi_gate gate;
static struct engine *engine;
static unsigned n_told;

static void told(struct scsi_gate_pass *pass)
{
	struct walker *w = container_of(pass, struct walker, pass);

	w->n_told++;
	w->nth = ++n_told;
}

static int start(void **state)
{
	(void)state;
	alarm(HANG_S);
	scsi_gate_init(&gate);
	n_told = 0;
	return engine_new(ENGINE_EPOLL, NULL, &engine);
}

static int stop(void **state)
{
	(void)state;
	engine_free(engine);
	scsi_gate_fini(&gate);
	alarm(0);
	return 0;
}

static bool enter(struct walker *w, unsigned mode)
{
	*w = (struct walker){.pass = {.engine = engine, .admitted = told}};
	return scsi_gate_enter(&gate, &w->pass, mode);
}

static void leave(struct walker *w)
{
	unsigned before = n_told;

	scsi_gate_leave(&gate, &w->pass);
	assert_int_equal(n_told, before); /* never from inside */
	while (engine_turn(engine, false) > 0)
		;
}

static bool is_inside(const struct walker *w)
{
	return w->pass.state == GATE_INSIDE && w->n_told == 1;
}

static void shared_ones_go_side_by_side(void **state)
{
	struct walker a, b;

	(void)state;
	assert_true(enter(&a, GATE_SHARED));
	assert_true(enter(&b, GATE_SHARED));
	leave(&a);
	assert_true(enter(&a, GATE_SHARED));
	leave(&b);
	leave(&a);
	assert_int_equal(n_told, 0);
}

static void an_exclusive_one_is_alone(void **state)
{
	struct walker a, b, x, y, late;

	(void)state;
	assert_true(enter(&a, GATE_SHARED));
	assert_true(enter(&b, GATE_SHARED));
	assert_false(enter(&x, GATE_EXCLUSIVE));
	assert_false(enter(&y, GATE_EXCLUSIVE));
	assert_false(enter(&late, GATE_SHARED)); /* it came after x and y */
	leave(&a);
	assert_int_equal(n_told, 0);
	leave(&b);
	assert_true(is_inside(&x));
	assert_int_equal(n_told, 1);
	leave(&x);
	assert_true(is_inside(&y));
	assert_int_equal(n_told, 2);
	leave(&y);
	assert_true(is_inside(&late));
	assert_true(enter(&a, GATE_SHARED)); /* open again */
	leave(&a);
	leave(&late);
	assert_true(enter(&x, GATE_EXCLUSIVE)); /* nobody is there: at once */
	assert_false(enter(&a, GATE_SHARED));
	leave(&x);
	assert_true(is_inside(&a));
	leave(&a);
}

/* Shared ones that stand in line together go in together; one behind an exclusive one does not. */
static void the_line_keeps_its_order(void **state)
{
	struct walker x, a, b, y, c;

	(void)state;
	assert_true(enter(&x, GATE_EXCLUSIVE));
	assert_false(enter(&a, GATE_SHARED));
	assert_false(enter(&b, GATE_SHARED));
	assert_false(enter(&y, GATE_EXCLUSIVE));
	assert_false(enter(&c, GATE_SHARED));
	leave(&x);
	assert_true(is_inside(&a) && is_inside(&b));
	assert_true(a.nth < b.nth);
	assert_int_equal(n_told, 2);
	leave(&a);
	leave(&b);
	assert_true(is_inside(&y));
	assert_int_equal(n_told, 3);
	leave(&y);
	assert_true(is_inside(&c));
	leave(&c);
}

static void the_first_go_ahead_of_all_that_wait(void **state)
{
	struct walker a, x, y, first, second, head;

	(void)state;
	assert_true(enter(&a, GATE_SHARED));
	assert_false(enter(&x, GATE_EXCLUSIVE));
	assert_true(enter(&first, GATE_SHARED | GATE_FIRST)); /* nobody is alone inside yet */
	leave(&first);
	leave(&a);
	assert_true(is_inside(&x));
	assert_false(enter(&y, GATE_SHARED));
	assert_false(enter(&first, GATE_SHARED | GATE_FIRST)); /* but not in there */
	assert_false(enter(&head, GATE_EXCLUSIVE | GATE_FIRST));
	assert_false(enter(&second, GATE_SHARED | GATE_FIRST));
	leave(&x);
	assert_true(is_inside(&first));
	assert_int_equal(n_told, 2); /* x, first: the others wait for head, which waits for first */
	leave(&first);
	assert_true(is_inside(&head));
	leave(&head);
	assert_true(is_inside(&second) && is_inside(&y));
	assert_true(second.nth < y.nth);
	leave(&second);
	leave(&y);
}

static void who_gives_up_lets_others_pass(void **state)
{
	struct walker a, x, b, y;

	(void)state;
	assert_true(enter(&a, GATE_SHARED));
	assert_false(enter(&x, GATE_EXCLUSIVE));
	assert_false(enter(&b, GATE_SHARED));
	assert_false(enter(&y, GATE_EXCLUSIVE));
	scsi_gate_cancel(&gate, &x.pass);
	assert_int_equal(n_told, 0);
	while (engine_turn(engine, false) > 0)
		;
	assert_int_equal(x.n_told, 1);
	assert_int_equal(x.pass.state, GATE_OUTSIDE);
	assert_true(is_inside(&b));
	assert_int_equal(y.n_told, 0);
	scsi_gate_cancel(&gate, &b.pass); /* too late: no effect */
	leave(&a);
	assert_true(is_inside(&b));
	scsi_gate_cancel(&gate, &y.pass);
	leave(&b);
	assert_int_equal(y.n_told, 1);
	assert_int_equal(y.pass.state, GATE_OUTSIDE);
	assert_true(enter(&a, GATE_SHARED)); /* open again */
	leave(&a);
}

/* ---- many threads ---- */

enum { N_THREADS = 4, N_WALKERS = 8, N_ROUNDS = 20000 };

/* What is inside, as those inside see it. Plain memory: only the gate keeps it sound. */
static uint64_t n_changes;
static atomic_int n_shared, n_alone;

struct crowd {
	pthread_t thread;
	unsigned seed;
	struct engine *engine;
	struct scsi_gate_pass passes[N_WALKERS];
	unsigned left[N_WALKERS]; /* rounds */
	unsigned n_running;
	uint64_t n_changes, n_turned_away;
};

static _Thread_local struct crowd *self;

static void next_round(struct scsi_gate_pass *pass);

static void be_inside(struct scsi_gate_pass *pass)
{
	if (pass->mode & GATE_EXCLUSIVE) {
		assert_int_equal(atomic_fetch_add(&n_alone, 1), 0);
		assert_int_equal(atomic_load(&n_shared), 0);
		n_changes++;
		self->n_changes++;
	} else {
		atomic_fetch_add(&n_shared, 1);
		assert_int_equal(atomic_load(&n_alone), 0);
		(void)*(volatile uint64_t *)&n_changes;
	}
}

static void go_out(struct scsi_gate_pass *pass)
{
	atomic_fetch_sub(pass->mode & GATE_EXCLUSIVE ? &n_alone : &n_shared, 1);
	scsi_gate_leave(&gate, pass);
}

static void crowd_told(struct scsi_gate_pass *pass)
{
	if (pass->state == GATE_INSIDE) {
		be_inside(pass);
		go_out(pass);
	} else {
		self->n_turned_away++;
	}
	next_round(pass);
}

static void next_round(struct scsi_gate_pass *pass)
{
	unsigned i = (unsigned)(pass - self->passes);

	while (self->left[i]) {
		unsigned dice = (unsigned)rand_r(&self->seed);
		unsigned mode = dice % 8 ? GATE_SHARED : GATE_EXCLUSIVE;

		self->left[i]--;
		if (dice % 5 == 0)
			mode |= GATE_FIRST;
		if (!scsi_gate_enter(&gate, pass, mode)) {
			if (dice % 7 == 0)
				scsi_gate_cancel(&gate, pass);
			return; /* told soon */
		}
		be_inside(pass);
		if (dice % 3 == 0)
			sched_yield();
		go_out(pass);
	}
	self->n_running--;
}

static void *crowd_main(void *arg)
{
	self = arg;
	for (unsigned i = 0; i < N_WALKERS; i++) {
		self->passes[i] =
			(struct scsi_gate_pass){.engine = self->engine, .admitted = crowd_told};
		self->left[i] = N_ROUNDS;
	}
	self->n_running = N_WALKERS;
	for (unsigned i = 0; i < N_WALKERS; i++)
		next_round(&self->passes[i]);
	while (self->n_running)
		assert_true(engine_turn(self->engine, true) >= 0);
	return NULL;
}

static void crowds_from_many_threads(void **state)
{
	struct crowd crowds[N_THREADS];
	uint64_t sum = 0;

	(void)state;
	n_changes = 0;
	for (unsigned i = 0; i < N_THREADS; i++) {
		crowds[i] = (struct crowd){.seed = i + 1};
		assert_int_equal(engine_new(ENGINE_EPOLL, NULL, &crowds[i].engine), 0);
	}
	for (unsigned i = 0; i < N_THREADS; i++)
		assert_int_equal(pthread_create(&crowds[i].thread, NULL, crowd_main, &crowds[i]),
				 0);
	for (unsigned i = 0; i < N_THREADS; i++) {
		pthread_join(crowds[i].thread, NULL);
		engine_free(crowds[i].engine);
		sum += crowds[i].n_changes;
	}
	assert_int_equal(n_changes, sum);
	assert_true(sum > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shared_ones_go_side_by_side, start, stop),
		cmocka_unit_test_setup_teardown(an_exclusive_one_is_alone, start, stop),
		cmocka_unit_test_setup_teardown(the_line_keeps_its_order, start, stop),
		cmocka_unit_test_setup_teardown(the_first_go_ahead_of_all_that_wait, start, stop),
		cmocka_unit_test_setup_teardown(who_gives_up_lets_others_pass, start, stop),
		cmocka_unit_test_setup_teardown(crowds_from_many_threads, start, stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
