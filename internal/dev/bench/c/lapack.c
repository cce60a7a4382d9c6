/* What the program is compared with, on OpenBLAS and its LAPACK.
   OPENBLAS_NUM_THREADS sets the threads.

   lapack sgemm|dgemm|dsyrk ORDER
     prints the processor seconds and the seconds of a product, the best of
     three after a first that is not counted.
   lapack sgesdd|dgesdd ROWS COLUMNS RANK FILE
     prints those of a singular value decomposition of the row-major doubles in
     FILE, then what the leading RANK left vectors U leave of it, |M - U U'M|^2,
     and the sum of the squares of the other singular values. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void sgesdd_(const char *job, const int *m, const int *n, float *a, const int *lda, float *s, float *u, const int *ldu,
	float *vt, const int *ldvt, float *work, const int *lwork, int *iwork, int *info, size_t);
void dgesdd_(const char *job, const int *m, const int *n, double *a, const int *lda, double *s, double *u, const int *ldu,
	double *vt, const int *ldvt, double *work, const int *lwork, int *iwork, int *info, size_t);

struct usage {
	double cpu, wall;
};

static double seconds(clockid_t clock) {
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

static struct usage now(void) {
	struct usage u = {seconds(CLOCK_PROCESS_CPUTIME_ID), seconds(CLOCK_MONOTONIC)};
	return u;
}

static void *take(size_t size) {
	void *p = calloc(size, 1);
	if (!p) {
		fprintf(stderr, "lapack: out of memory\n");
		exit(1);
	}
	return p;
}

static void call(const char *routine, int n, const void *a, const void *b, void *c) {
	if (!strcmp(routine, "sgemm"))
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, n, 1, a, n, b, n, 0, c, n);
	else if (!strcmp(routine, "dgemm"))
		cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, n, n, 1, a, n, b, n, 0, c, n);
	else
		cblas_dsyrk(CblasRowMajor, CblasUpper, CblasTrans, n, n, 1, a, n, 0, c, n);
}

static void product(const char *routine, int n) {
	size_t size = (size_t)n * n;
	double *a = take(size * sizeof *a), *b = take(size * sizeof *b), *c = take(size * sizeof *c);
	for (size_t i = 0; i < size; i++) {
		double x = rand() / (double)RAND_MAX - 0.5, y = rand() / (double)RAND_MAX - 0.5;
		if (*routine == 'd') {
			a[i] = x;
			b[i] = y;
		} else {
			((float *)a)[i] = (float)x;
			((float *)b)[i] = (float)y;
		}
	}
	struct usage best = {1e30, 1e30};
	for (int run = 0; run < 4; run++) {
		struct usage before = now();
		call(routine, n, a, b, c);
		struct usage after = now();
		if (run == 0)
			continue;
		best.cpu = fmin(best.cpu, after.cpu - before.cpu);
		best.wall = fmin(best.wall, after.wall - before.wall);
	}
	printf("%.9f %.9f\n", best.cpu, best.wall);
}

/* u gets the leading rank right vectors of the transpose of M, which is what
   LAPACK sees: the left ones of M. They are rows of vt. */
static void decompose(int single, int rows, int cols, int rank, const char *file) {
	size_t size = (size_t)rows * cols;
	int least = rows < cols ? rows : cols, info = 0, query = -1;
	double *m = take(size * sizeof *m), *s = take(least * sizeof *s);
	double *vt = take((size_t)least * rows * sizeof *vt), *u = take((size_t)cols * least * sizeof *u);
	int *iwork = take(8 * (size_t)least * sizeof *iwork);
	FILE *f = fopen(file, "rb");
	if (!f || fread(m, sizeof *m, size, f) != size) {
		fprintf(stderr, "lapack: cannot read %s\n", file);
		exit(1);
	}
	fclose(f);
	double *a = take(size * sizeof *a);
	struct usage before, after;
	if (single) {
		float *narrow = (float *)a, *values = (float *)s, *left = (float *)u, *right = (float *)vt, best;
		for (size_t i = 0; i < size; i++)
			narrow[i] = (float)m[i];
		sgesdd_("S", &cols, &rows, narrow, &cols, values, left, &cols, right, &least, &best, &query, iwork, &info, 1);
		int length = (int)best + 1;
		float *work = take(length * sizeof *work);
		before = now();
		sgesdd_("S", &cols, &rows, narrow, &cols, values, left, &cols, right, &least, work, &length, iwork, &info, 1);
		after = now();
		for (size_t i = (size_t)least * rows; i-- > 0;)
			vt[i] = right[i];
		for (int i = least; i-- > 0;)
			s[i] = values[i];
	} else {
		double best;
		memcpy(a, m, size * sizeof *a);
		dgesdd_("S", &cols, &rows, a, &cols, s, u, &cols, vt, &least, &best, &query, iwork, &info, 1);
		int length = (int)best;
		double *work = take(length * sizeof *work);
		before = now();
		dgesdd_("S", &cols, &rows, a, &cols, s, u, &cols, vt, &least, work, &length, iwork, &info, 1);
		after = now();
	}
	if (info) {
		fprintf(stderr, "lapack: gesdd fails with %d\n", info);
		exit(1);
	}
	/* column i of vt in column-major order is row i of V in row-major order:
	   U[i][k] = vt[i * least + k] */
	double *down = take((size_t)rank * cols * sizeof *down);
	cblas_dgemm(CblasRowMajor, CblasTrans, CblasNoTrans, rank, cols, rows, 1, vt, least, m, cols, 0, down, cols);
	cblas_dgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, cols, rank, -1, vt, least, down, cols, 1, m, cols);
	double left = 0, tail = 0;
	for (size_t i = 0; i < size; i++)
		left += m[i] * m[i];
	for (int i = rank; i < least; i++)
		tail += s[i] * s[i];
	printf("%.9f %.9f %.17g %.17g\n", after.cpu - before.cpu, after.wall - before.wall, left, tail);
}

int main(int argc, char **argv) {
	if (argc == 3)
		product(argv[1], atoi(argv[2]));
	else if (argc == 6)
		decompose(argv[1][0] == 's', atoi(argv[2]), atoi(argv[3]), atoi(argv[4]), argv[5]);
	else
		return 2;
	return 0;
}
