/* openblas ROUTINE ORDER prints the seconds that sgemm, dgemm or dsyrk of
   OpenBLAS takes, the best of three after a first that is not counted.
   OPENBLAS_NUM_THREADS sets the threads. */
#include <cblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(void) {
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static void call(const char *routine, int n, const void *a, const void *b, void *c) {
	if (!strcmp(routine, "sgemm"))
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, n, 1, a, n, b, n, 0, c, n);
	else if (!strcmp(routine, "dgemm"))
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n);
	else if (!strcmp(routine, "dsyrk"))
		cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, n, n, 1, a, n, 0, c, n);
	else
		exit(2);
}

int main(int argc, char **argv) {
	if (argc != 3)
		return 2;
	int n = atoi(argv[2]), wide = argv[1][0] == 'd';
	size_t size = (size_t)n * n;
	double *a = malloc(size * sizeof *a), *b = malloc(size * sizeof *b), *c = calloc(size, sizeof *c);
	if (!a || !b || !c)
		return 1;
	for (size_t i = 0; i < size; i++) {
		double x = rand() / (double)RAND_MAX - 0.5, y = rand() / (double)RAND_MAX - 0.5;
		if (wide) {
			a[i] = x;
			b[i] = y;
		} else {
			((float *)a)[i] = (float)x;
			((float *)b)[i] = (float)y;
		}
	}
	double best = 1e30;
	for (int run = 0; run < 4; run++) {
		double start = now();
		call(argv[1], n, a, b, c);
		double time = now() - start;
		if (run > 0 && time < best)
			best = time;
	}
	printf("%.9f\n", best);
	return 0;
}
