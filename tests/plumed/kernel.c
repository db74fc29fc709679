/* A stand-in for PLUMED's kernel: it checks that it is told what PLUMED is told, in the order and the units in which PLUMED is,
 * and biases one distance. Anything amiss is an error as PLUMED would report it.
 *
 * Its input has a line for each thing, atoms counted from 1, distances in nm, energies in kJ/mol:
 *   spring I J LENGTH CONSTANT   k (d - l)^2 / 2 of the distance d of two atoms, by the nearest image
 *   hills I J STRIDE HEIGHT WIDTH   Gaussian hills along that distance, one every so many steps, kept in a file HILLS
 *   print STRIDE   step, distance and bias in a file COLVAR
 *   fail STEP   an error at a step
 *   stop STEP   asks for the end of the run at a step
 * What it is told is counted in the file TOLD when it ends. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  void *ptr;
  void (*handler)(void *, int, const char *, const void *);
} nothrow_handler;

typedef struct {
  const void *ptr;
  size_t nelem;
  const size_t *shape;
  size_t flags;
  const void *opt;
} safe_pointer;

typedef struct {
  int version;
  void *(*create)(void);
  void (*cmd)(void *, const char *, const void *);
  void (*finalize)(void *);
  void (*cmd_nothrow)(void *, const char *, const void *, nothrow_handler);
  void (*cmd_safe)(void *, const char *, safe_pointer);
  void (*cmd_safe_nothrow)(void *, const char *, safe_pointer, nothrow_handler);
} symbol_table;

enum { MOST_HILLS = 100000, MOST_TEXT = 4096, INTEGER = 3, FLOAT = 4, STREAM = 5 };

typedef struct {
  int ready, atoms, restart, precision, prepared, steps, first, checkpoints;
  long step;
  double energy_unit, length_unit, time_unit, timestep, kt, bias;
  char input[MOST_TEXT], engine[64];
  const double *masses, *positions, *cell;
  double *forces, *virial;
  const double *energy;
  long last;
  int i, j, has_spring, hill_i, hill_j, hill_stride, print_stride, hills;
  long fail, stop;
  int *flag;
  double length, constant, height, width, centres[MOST_HILLS];
  FILE *hills_file, *colvar, *log_file;
} state;

/* The error of the command under way, if there is one. */
static char wrong[2 * MOST_TEXT];

static void fail(const char *what) {
  if (!wrong[0]) {
    snprintf(wrong, sizeof wrong, "\n+++ PLUMED error\n+++ at kernel.c:1, function told\n+++ message follows +++\n%s", what);
  }
}

static void expect(int holds, const char *what) {
  if (!holds) {
    fail(what);
  }
}

/* Kind, size and number of what a pointer points to; those of version 2 of the table have none of it. */
static void typed(safe_pointer p, size_t kind, size_t size, size_t count, const char *what) {
  expect(p.ptr != NULL, what);
  if (p.flags == 0) {
    return;
  }
  expect((p.flags & 0xffff) == size && ((p.flags >> 16) & 0xff) == kind, what);
  expect(count == 0 || p.nelem == count, what);
}

static void shaped(safe_pointer p, size_t rows, size_t columns, const char *what) {
  typed(p, FLOAT, 8, rows * columns, what);
  if (p.flags == 0) {
    return;
  }
  int mutable = ((p.flags >> 25) & 7) == 2;
  expect(mutable && p.shape != NULL, what);
  if (p.shape) {
    int one = columns == 1;
    expect(p.shape[0] == rows && (one ? p.shape[1] == 0 : p.shape[1] == columns && p.shape[2] == 0), what);
  }
}

/* The vector from one atom to another, by the nearest image in a cell of rows, all of them short ones tried. */
static double nearest(const state *s, int i, int j, double out[3]) {
  double best = INFINITY;
  int most = s->cell[0] == 0 && s->cell[4] == 0 ? 0 : 2;
  double d[3], start[3];
  for (int c = 0; c < 3; c++) {
    start[c] = s->positions[3 * j + c] - s->positions[3 * i + c];
  }
  /* Positions are unwrapped, so that the images may be far. */
  if (most) {
    for (int round = 0; round < 3; round++) {
      for (int k = 2; k >= 0; k--) {
        double along = 0, norm = 0;
        for (int c = 0; c < 3; c++) {
          along += start[c] * s->cell[3 * k + c];
          norm += s->cell[3 * k + c] * s->cell[3 * k + c];
        }
        double n = rint(along / norm);
        for (int c = 0; c < 3; c++) {
          start[c] -= n * s->cell[3 * k + c];
        }
      }
    }
  }
  for (int x = -most; x <= most; x++) {
    for (int y = -most; y <= most; y++) {
      for (int z = -most; z <= most; z++) {
        double square = 0;
        for (int c = 0; c < 3; c++) {
          d[c] = start[c] + x * s->cell[c] + y * s->cell[3 + c] + z * s->cell[6 + c];
          square += d[c] * d[c];
        }
        if (square < best) {
          best = square;
          memcpy(out, d, sizeof d);
        }
      }
    }
  }
  return sqrt(best);
}

/* Adds what an energy of a distance does: its slope pulls atoms and cell. */
static void pull(state *s, int i, int j, const double d[3], double distance, double slope) {
  for (int c = 0; c < 3; c++) {
    double force = -slope * d[c] / distance;
    s->forces[3 * j + c] += force;
    s->forces[3 * i + c] -= force;
    for (int b = 0; b < 3; b++) {
      s->virial[3 * b + c] -= d[b] * force;
    }
  }
}

static void calculate(state *s) {
  s->bias = 0;
  double d[3], shown = 0;
  if (s->has_spring) {
    double distance = nearest(s, s->i, s->j, d), x = distance - s->length;
    s->bias += 0.5 * s->constant * x * x;
    pull(s, s->i, s->j, d, distance, s->constant * x);
    shown = distance;
  }
  double bias = s->bias, distance = 0;
  if (s->hill_stride) {
    distance = nearest(s, s->hill_i, s->hill_j, d);
    double slope = 0;
    for (int k = 0; k < s->hills; k++) {
      double x = (distance - s->centres[k]) / s->width, hill = s->height * exp(-0.5 * x * x);
      bias += hill;
      slope -= hill * x / s->width;
    }
    pull(s, s->hill_i, s->hill_j, d, distance, slope);
    shown = distance;
  }
  s->bias = bias;
  /* As PLUMED's metadynamics, which adds no hill where a run begins or goes on. */
  if (s->hill_stride && s->step % s->hill_stride == 0 && !s->first) {
    s->centres[s->hills++] = distance;
    fprintf(s->hills_file, "%ld %.17g\n", s->step, distance);
  }
  if (s->print_stride && s->step % s->print_stride == 0) {
    fprintf(s->colvar, "%ld %.17g %.17g\n", s->step, shown * s->length_unit, s->bias * s->energy_unit);
  }
  if (s->step == s->stop) {
    *s->flag = 1;
  }
  s->first = 0;
  s->steps++;
}

static void read_hills(state *s) {
  FILE *file = s->restart ? fopen("HILLS", "r") : NULL;
  if (file) {
    long step;
    while (s->hills < MOST_HILLS && fscanf(file, "%ld %lg", &step, &s->centres[s->hills]) == 2) {
      s->hills++;
    }
    fclose(file);
  }
}

static void init(state *s) {
  expect(!s->ready && s->atoms > 0, "init comes once, after setNatoms");
  expect(s->precision == 8, "numbers of 8 bytes are wanted");
  /* eV, angstrom, and the time that goes with them and u, in kJ/mol, nm and ps: CODATA 2022. */
  expect(fabs(s->energy_unit - 96.48533212331) < 1e-9, "the unit of energy");
  expect(s->length_unit == 0.1, "the unit of length");
  expect(fabs(s->time_unit - 0.010180505717871) < 1e-12, "the unit of time");
  expect(strcmp(s->engine, "mdrun") == 0 && s->log_file && s->timestep > 0, "setMDEngine, setLog and setTimestep come before init");
  FILE *file = fopen(s->input, "r");
  if (!file || !s->log_file) {
    fail("the input cannot be opened or there is no log");
    return;
  }
  fprintf(s->log_file, "input %s\n", s->input);
  s->fail = s->stop = -1;
  char line[MOST_TEXT];
  while (fgets(line, sizeof line, file)) {
    double a, b;
    if (sscanf(line, "spring %d %d %lg %lg", &s->i, &s->j, &a, &b) == 4) {
      s->has_spring = 1, s->i--, s->j--;
      s->length = a / s->length_unit;
      s->constant = b / s->energy_unit * s->length_unit * s->length_unit;
    } else if (sscanf(line, "hills %d %d %d %lg %lg", &s->hill_i, &s->hill_j, &s->hill_stride, &a, &b) == 5) {
      s->hill_i--, s->hill_j--;
      s->height = a / s->energy_unit;
      s->width = b / s->length_unit;
      read_hills(s);
      s->hills_file = fopen("HILLS", s->restart ? "a" : "w");
    } else if (sscanf(line, "print %d", &s->print_stride) == 1) {
      s->colvar = fopen("COLVAR", s->restart ? "a" : "w");
    } else if (sscanf(line, "fail %ld", &s->fail) != 1 && sscanf(line, "stop %ld", &s->stop) != 1) {
      char message[2 * MOST_TEXT];
      line[strcspn(line, "\n")] = 0;
      snprintf(message, sizeof message, "ERROR\nI cannot understand line: %s\nMaybe a missing space or a typo?", line);
      fail(message);
    }
  }
  fclose(file);
  s->ready = !wrong[0];
  s->first = 1;
  s->last = -1;
}

static void text(safe_pointer p, char *to, size_t room, const char *what) {
  typed(p, INTEGER, 1, 0, what);
  if (p.ptr) {
    snprintf(to, room, "%s", (const char *)p.ptr);
  }
}

static int integer(safe_pointer p, const char *what) {
  typed(p, INTEGER, sizeof(int), 1, what);
  return p.ptr ? *(const int *)p.ptr : 0;
}

static double number(safe_pointer p, const char *what) {
  typed(p, FLOAT, sizeof(double), 1, what);
  return p.ptr ? *(const double *)p.ptr : 0;
}

static void before(state *s, const char *key, safe_pointer p) {
  if (!strcmp(key, "setRealPrecision")) {
    s->precision = integer(p, key);
  } else if (!strcmp(key, "setMDEnergyUnits")) {
    s->energy_unit = number(p, key);
  } else if (!strcmp(key, "setMDLengthUnits")) {
    s->length_unit = number(p, key);
  } else if (!strcmp(key, "setMDTimeUnits")) {
    s->time_unit = number(p, key);
  } else if (!strcmp(key, "setMDMassUnits") || !strcmp(key, "setMDChargeUnits")) {
    expect(number(p, key) == 1, "the units of mass and charge");
  } else if (!strcmp(key, "setNatoms")) {
    s->atoms = integer(p, key);
  } else if (!strcmp(key, "setTimestep")) {
    s->timestep = number(p, key);
  } else if (!strcmp(key, "setKbT")) {
    s->kt = number(p, key);
  } else if (!strcmp(key, "setRestart")) {
    s->restart = integer(p, key);
  } else if (!strcmp(key, "setPlumedDat")) {
    text(p, s->input, sizeof s->input, key);
  } else if (!strcmp(key, "setLog")) {
    typed(p, STREAM, 0, 1, key);
    s->log_file = (FILE *)p.ptr;
  } else if (!strcmp(key, "setMDEngine")) {
    text(p, s->engine, sizeof s->engine, key);
  } else if (!strcmp(key, "init")) {
    init(s);
  } else {
    fail("an unknown command before init");
  }
}

static void during(state *s, const char *key, safe_pointer p) {
  size_t atoms = (size_t)s->atoms;
  if (!strcmp(key, "setStepLong")) {
    typed(p, INTEGER, sizeof(long), 1, key);
    s->step = *(const long *)p.ptr;
    expect(s->last < 0 || s->step == s->last + 1, "steps come one after another");
    s->last = s->step;
    s->masses = s->positions = s->cell = s->energy = NULL, s->forces = s->virial = NULL;
    if (s->step == s->fail) {
      fail("the step that was to fail");
    }
  } else if (!strcmp(key, "setMasses")) {
    shaped(p, atoms, 1, key);
    s->masses = p.ptr;
    for (size_t i = 0; i < atoms; i++) {
      expect(s->masses[i] > 0.9 && s->masses[i] < 300, "masses in u");
    }
  } else if (!strcmp(key, "setBox")) {
    shaped(p, 3, 3, key);
    s->cell = p.ptr;
  } else if (!strcmp(key, "setPositions")) {
    shaped(p, atoms, 3, key);
    s->positions = p.ptr;
  } else if (!strcmp(key, "setForces")) {
    shaped(p, atoms, 3, key);
    s->forces = (double *)p.ptr;
  } else if (!strcmp(key, "setVirial")) {
    shaped(p, 3, 3, key);
    s->virial = (double *)p.ptr;
  } else if (!strcmp(key, "setEnergy")) {
    number(p, key);
    s->energy = p.ptr;
  } else if (!strcmp(key, "setStopFlag")) {
    typed(p, INTEGER, sizeof(int), 1, key);
    s->flag = (int *)p.ptr;
  } else if (!strcmp(key, "doCheckPoint")) {
    s->checkpoints += integer(p, key);
  } else if (!strcmp(key, "prepareCalc")) {
    expect(s->flag && s->masses && s->cell && s->positions && s->forces && s->virial && s->energy, "something is not set before prepareCalc");
    s->prepared = 1;
  } else if (!strcmp(key, "performCalc")) {
    expect(s->prepared, "prepareCalc comes before performCalc");
    s->prepared = 0;
    if (!wrong[0]) {
      calculate(s);
    }
  } else if (!strcmp(key, "getBias")) {
    typed(p, FLOAT, 8, 1, key);
    *(double *)p.ptr = s->bias;
  } else {
    fail("an unknown command after init");
  }
}

static void told(void *object, const char *key, safe_pointer p, nothrow_handler nothrow) {
  state *s = object;
  wrong[0] = 0;
  if (s->ready) {
    during(s, key, p);
  } else {
    before(s, key, p);
  }
  if (wrong[0]) {
    nothrow.handler(nothrow.ptr, 20000, wrong, NULL);
  }
}

static void told_plainly(void *object, const char *key, const void *value, nothrow_handler nothrow) {
  safe_pointer p = {value, 0, NULL, 0, NULL};
  told(object, key, p, nothrow);
}

static void *create(void) {
  return calloc(1, sizeof(state));
}

static void finalize(void *object) {
  state *s = object;
  FILE *file = s->ready ? fopen("TOLD", "a") : NULL;
  if (file) {
    fprintf(file, "restart %d steps %d last %ld kt %.10g checkpoints %d\n", s->restart, s->steps, s->last, s->kt, s->checkpoints);
    fclose(file);
  }
  FILE *files[] = {s->hills_file, s->colvar};
  for (int k = 0; k < 2; k++) {
    if (files[k]) {
      fclose(files[k]);
    }
  }
  free(s);
}

#ifndef VERSION
#define VERSION 4
#endif

#ifndef NO_KERNEL
symbol_table plumed_symbol_table;

void plumed_symbol_table_init(void) {
  symbol_table table = {VERSION, create, NULL, finalize, told_plainly, NULL, VERSION > 2 ? told : NULL};
  plumed_symbol_table = table;
}
#endif
