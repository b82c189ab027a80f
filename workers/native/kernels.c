/* Kernels for small networks on CPUs: what a unit of the network can do while its numbers are in the cache.
 *
 * A unit is [channel-wise 3x3 convolution] -> [interleaved product of group 1x1 convolutions] -> batch normalisation
 * -> [activation] -> [shuffle]; the parts in brackets may be missing. Training a unit by separate operations is bound by memory:
 * some twenty passes over its tensors. Here it takes five forward and six backward.
 *
 * Tensors are fp32 in channels_last order: pixels of C channels each, channels next to each other; C is a multiple of
 * WIDTH. Work is split into the same fixed parts for the same number of threads, and sums are added up in the order of
 * the parts: the same input, threads and machine give the same bits.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))
#define INNER static inline __attribute__((always_inline))
#define WIDTH 8        /* channels handled at once */
#define TILE 16        /* pixels that go through a product at once */
#define BLOCK 64       /* pixels summed in fp32 before they are added to the sums in fp64 */
#define MAX_FACTORS 6
#define PART_LOOP _Pragma("omp parallel for num_threads(threads) schedule(static, 1)") for (int part = 0; part < threads; part++)

typedef float vec __attribute__((vector_size(4 * WIDTH), aligned(4)));
typedef int32_t ivec __attribute__((vector_size(4 * WIDTH), aligned(4)));

typedef struct {
    int64_t images, height, width, channels;    /* of the input */
    int64_t out_height, out_width, out_channels; /* of the output */
    int64_t stride;
    const float *taps;    /* [9][channels], or NULL: no spatial convolution */
    float *taps_gradient; /* [part][9][channels], added to */
    int64_t factors;      /* 0: no product */
    int64_t widest;       /* the most channels anywhere in the product */
    int64_t groups[MAX_FACTORS], in[MAX_FACTORS], out[MAX_FACTORS]; /* factor: groups of in -> out channels */
    int64_t shuffle[MAX_FACTORS]; /* after the factor: channels read as (shuffle, rest) and turned around */
    const float *weight_io[MAX_FACTORS], *weight_oi[MAX_FACTORS]; /* [group][in][out] and [group][out][in] */
    float *weight_gradient[MAX_FACTORS];                          /* [part][group][in][out], added to */
} unit;

typedef struct {
    const float *scale, *offset; /* out = activation(y * scale + offset) */
    const float *mean;           /* of y; for the backward sums */
    const float *slope, *level;  /* dy = scale * g + slope * y + level, g: the gradient where the activation is active */
    int64_t shuffle;             /* groups of the shuffle after the activation; 1: none */
    float bound;                 /* of the activation: 0 none, else its upper bound (infinite for ReLU) */
} norm;

INNER vec load(const float *p) { return *(const vec *)p; }
INNER void store(float *p, vec v) { *(vec *)p = v; }
INNER vec all(float s) { return (vec){s, s, s, s, s, s, s, s}; }
INNER vec pick(ivec mask, vec v) { return (vec)(mask & (ivec)v); }
INNER float *scratch_floats(int64_t count) { return aligned_alloc(64, (count * sizeof(float) + 63) / 64 * 64); }

/* ---- the channel permutation (g, k) -> (k, g) ----------------------------------------------------------------- */

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define MIX(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#endif
#endif

/* to[r][c] = from[c][r] for 8 x 8 numbers. */
INNER void turn8(const float *from, int64_t from_step, float *to, int64_t to_step) {
#ifdef MIX
    vec r[8], s[8];
    for (int k = 0; k < 8; k++) r[k] = load(from + k * from_step);
    for (int k = 0; k < 8; k += 2) {
        s[k] = MIX(r[k], r[k + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        s[k + 1] = MIX(r[k], r[k + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int k = 0; k < 8; k += 4) {
        r[k] = MIX(s[k], s[k + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        r[k + 1] = MIX(s[k], s[k + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        r[k + 2] = MIX(s[k + 1], s[k + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        r[k + 3] = MIX(s[k + 1], s[k + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int k = 0; k < 4; k++) {
        store(to + k * to_step, MIX(r[k], r[k + 4], 0, 1, 2, 3, 8, 9, 10, 11));
        store(to + (k + 4) * to_step, MIX(r[k], r[k + 4], 4, 5, 6, 7, 12, 13, 14, 15));
    }
#else
    for (int r = 0; r < 8; r++)
        for (int c = 0; c < 8; c++) to[r * to_step + c] = from[c * from_step + r];
#endif
}

/* The shuffle of `groups` groups of every pixel; its inverse is the shuffle of C / groups. */
INNER void shuffle_tile(const float *from, int64_t from_step, float *to, int64_t to_step, int64_t C, int64_t groups,
                        int64_t pixels) {
    int64_t rest = C / groups;
    for (int64_t t = 0; t < pixels; t++, from += from_step, to += to_step) {
        if (groups % 8 == 0 && rest % 8 == 0) {
            for (int64_t g = 0; g < groups; g += 8)
                for (int64_t r = 0; r < rest; r += 8) turn8(from + g * rest + r, rest, to + r * groups + g, groups);
        } else {
            for (int64_t r = 0; r < rest; r++)
                for (int64_t g = 0; g < groups; g++) to[r * groups + g] = from[g * rest + r];
        }
    }
}

/* ---- batch normalisation, activation, shuffle ------------------------------------------------------------------------ */

INNER vec activate(vec v, float bound) {
    if (bound == 0) return v;
    ivec negative = v < all(0), over = v > all(bound); /* a NaN is neither, and stays */
    return (vec)((~(negative | over) & (ivec)v) | (over & (ivec)all(bound)));
}

INNER vec active(vec v, vec gradient, float bound) {
    return bound == 0 ? gradient : pick((v > all(0)) & (v < all(bound)), gradient);
}

INNER void normalise(const float *y, const norm *n, float *out, int64_t pixels, int64_t C) {
    for (int64_t p = 0; p < pixels; p++, y += C, out += C)
        for (int64_t c = 0; c < C; c += WIDTH)
            store(out + c, activate(load(y + c) * load(n->scale + c) + load(n->offset + c), n->bound));
}

/* The gradient before the shuffle: `scratch`, or the gradient itself where there is none. */
INNER const float *unshuffled(const norm *n, const float *gradient, float *scratch, int64_t pixels, int64_t C) {
    if (n->shuffle == 1) return gradient;
    shuffle_tile(gradient, C, scratch, C, C, C / n->shuffle, pixels);
    return scratch;
}

INNER void normalise_gradient(const float *gradient, const float *y, const norm *n, float *dy, int64_t pixels, int64_t C) {
    for (int64_t p = 0; p < pixels; p++, y += C, gradient += C, dy += C) {
        for (int64_t c = 0; c < C; c += WIDTH) {
            vec v = load(y + c), scale = load(n->scale + c);
            vec g = active(v * scale + load(n->offset + c), load(gradient + c), n->bound);
            store(dy + c, scale * g + load(n->slope + c) * v + load(n->level + c));
        }
    }
}

/* Adds sums of (y - shift) and (y - shift)^2 to sums[2][C]; `block` is scratch of 2 * C. */
INNER void add_sums(const float *y, const float *shift, float *block, double *sums, int64_t pixels, int64_t C) {
    for (int64_t c = 0; c < C; c += WIDTH) {
        vec first = all(0), second = all(0), from = load(shift + c);
        for (int64_t p = 0; p < pixels; p++) {
            vec d = load(y + p * C + c) - from;
            first += d;
            second += d * d;
        }
        store(block + c, first);
        store(block + C + c, second);
    }
    for (int64_t c = 0; c < 2 * C; c++) sums[c] += block[c];
}

EXPORT void norm_sums(const float *y, const float *shift, double *sums, int64_t pixels, int64_t C, int threads) {
    PART_LOOP {
        float *block = malloc(2 * C * sizeof(float));
        int64_t to = pixels * (part + 1) / threads;
        for (int64_t p = pixels * part / threads; p < to; p += BLOCK)
            add_sums(y + p * C, shift, block, sums + 2 * C * part, to - p < BLOCK ? to - p : BLOCK, C);
        free(block);
    }
}

EXPORT void norm_forward(const norm *n, const float *y, float *out, int64_t pixels, int64_t C, int threads) {
    PART_LOOP {
        float *scratch = n->shuffle == 1 ? NULL : scratch_floats(TILE * C);
        int64_t to = pixels * (part + 1) / threads;
        for (int64_t p = pixels * part / threads; p < to; p += TILE) {
            int64_t count = to - p < TILE ? to - p : TILE;
            normalise(y + p * C, n, scratch ? scratch : out + p * C, count, C);
            if (scratch) shuffle_tile(scratch, C, out + p * C, C, C, n->shuffle, count);
        }
        free(scratch);
    }
}

/* Sums of g and g * (y - mean): sums[part][2][C]. */
EXPORT void norm_backward_sums(const norm *n, const float *gradient, const float *y, double *sums, int64_t pixels,
                               int64_t C, int threads) {
    PART_LOOP {
        double *total = sums + 2 * C * part;
        float *scratch = scratch_floats(n->shuffle == 1 ? 0 : BLOCK * C);
        int64_t to = pixels * (part + 1) / threads;
        for (int64_t from = pixels * part / threads; from < to; from += BLOCK) {
            int64_t count = to - from < BLOCK ? to - from : BLOCK;
            const float *up = unshuffled(n, gradient + from * C, scratch, count, C);
            for (int64_t c = 0; c < C; c += WIDTH) {
                vec first = all(0), second = all(0), scale = load(n->scale + c), offset = load(n->offset + c);
                vec mean = load(n->mean + c);
                for (int64_t p = 0; p < count; p++) {
                    vec v = load(y + (from + p) * C + c);
                    vec g = active(v * scale + offset, load(up + p * C + c), n->bound);
                    first += g;
                    second += g * (v - mean);
                }
                for (int k = 0; k < WIDTH; k++) total[c + k] += first[k], total[C + c + k] += second[k];
            }
        }
        free(scratch);
    }
}

EXPORT void norm_backward(const norm *n, const float *gradient, const float *y, float *dy, int64_t pixels, int64_t C,
                          int threads) {
    PART_LOOP {
        float *scratch = scratch_floats(n->shuffle == 1 ? 0 : TILE * C);
        int64_t to = pixels * (part + 1) / threads;
        for (int64_t p = pixels * part / threads; p < to; p += TILE) {
            int64_t count = to - p < TILE ? to - p : TILE;
            normalise_gradient(unshuffled(n, gradient + p * C, scratch, count, C), y + p * C, n, dy + p * C, count, C);
        }
        free(scratch);
    }
}

/* ---- channel-wise 3x3 convolution, padding 1 -------------------------------------------------------------------- */

/* The three rows of an image (rows x width x C) around row y; beyond the edge a row of zeros. */
INNER void rows_around(const float *image, int64_t y, int64_t rows, int64_t row_size, const float *zeros,
                       const float *around[3]) {
    for (int k = 0; k < 3; k++) around[k] = y + k >= 1 && y + k <= rows ? image + (y + k - 1) * row_size : zeros;
}

/* sum += the tap columns [from, to) of three rows; x is the offset of the leftmost column, inside or not. */
INNER vec add_taps(vec sum, const float *const rows[3], int64_t x, int64_t C, const vec taps[9], int from, int to) {
    for (int k = 0; k < 3; k++)
        for (int m = from; m < to; m++) sum += load(rows[k] + x + m * C) * taps[3 * k + m];
    return sum;
}

INNER void add_outer(vec sums[9], vec g, const float *const rows[3], int64_t x, int64_t C, int from, int to) {
    for (int k = 0; k < 3; k++)
        for (int m = from; m < to; m++) sums[3 * k + m] += g * load(rows[k] + x + m * C);
}

/* One row of outputs from three rows of `width` pixels; taps[9][C]. */
INNER void convolved_row(const float *const around[3], const float *taps_9C, float *out, int64_t width,
                         int64_t out_width, int64_t C, int64_t stride) {
    for (int64_t c = 0; c < C; c += WIDTH) {
        const float *rows[3] = {around[0] + c, around[1] + c, around[2] + c};
        int64_t last_full = width >= 3 ? (width - 2) / stride : 0, ox = 0;
        vec taps[9];
        for (int t = 0; t < 9; t++) taps[t] = load(taps_9C + t * C + c);
        store(out + c, width > 1 ? add_taps(all(0), rows, -C, C, taps, 1, 3) : add_taps(all(0), rows, -C, C, taps, 1, 2));
        for (ox = 1; ox <= last_full; ox++)
            store(out + ox * C + c, add_taps(all(0), rows, (ox * stride - 1) * C, C, taps, 0, 3));
        for (; ox < out_width; ox++)
            store(out + ox * C + c, add_taps(all(0), rows, (ox * stride - 1) * C, C, taps, 0, 2));
    }
}

/* One row of the spatial convolution's outputs. */
INNER void spatial_row(const unit *u, const float *image, const float *zeros, int64_t oy, float *out) {
    const float *rows[3];
    rows_around(image, oy * u->stride, u->height, u->width * u->channels, zeros, rows);
    convolved_row(rows, u->taps, out, u->width, u->out_width, u->channels, u->stride);
}

/* The taps' gradient of one row of output gradients, added to gradient[9][C]. */
INNER void taps_gradient_row(const unit *u, const float *image, const float *zeros, const float *dz, int64_t oy,
                             float *gradient) {
    int64_t C = u->channels, stride = u->stride, last_full = u->width >= 3 ? (u->width - 2) / stride : 0;
    const float *around[3];
    rows_around(image, oy * stride, u->height, u->width * C, zeros, around);
    for (int64_t c = 0; c < C; c += WIDTH) {
        const float *rows[3] = {around[0] + c, around[1] + c, around[2] + c};
        int64_t ox = 1;
        vec sums[9];
        for (int t = 0; t < 9; t++) sums[t] = load(gradient + t * C + c);
        if (u->width > 1) add_outer(sums, load(dz + c), rows, -C, C, 1, 3);
        else add_outer(sums, load(dz + c), rows, -C, C, 1, 2);
        for (; ox <= last_full; ox++) add_outer(sums, load(dz + ox * C + c), rows, (ox * stride - 1) * C, C, 0, 3);
        for (; ox < u->out_width; ox++) add_outer(sums, load(dz + ox * C + c), rows, (ox * stride - 1) * C, C, 0, 2);
        for (int t = 0; t < 9; t++) store(gradient + t * C + c, sums[t]);
    }
}

/* One row of the input's gradient at stride 2 from the one (even rows) or two rows of dz that it was read for. */
INNER void spread_row(const unit *u, const float *dz, const float *zeros, int64_t iy, float *dx) {
    int64_t C = u->channels, W_out = u->out_width, odd = iy % 2;
    const float *upper = dz + iy / 2 * W_out * C; /* tap row 1 on even rows, 2 on odd ones */
    const float *lower = odd && iy / 2 + 1 < u->out_height ? upper + W_out * C : zeros; /* tap row 0 */
    for (int64_t c = 0; c < C; c += WIDTH) {
        vec above[3], below[3];
        for (int m = 0; m < 3; m++) {
            above[m] = load(u->taps + (odd ? 6 + m : 3 + m) * C + c);
            below[m] = load(u->taps + m * C + c);
        }
        for (int64_t ox = 0; ox < W_out; ox++) {
            vec a = load(upper + ox * C + c), b = odd ? load(lower + ox * C + c) : all(0), right = all(0);
            store(dx + 2 * ox * C + c, a * above[1] + b * below[1]);
            if (2 * ox + 1 >= u->width) continue;
            if (ox + 1 < W_out) {
                right = load(upper + (ox + 1) * C + c) * above[0];
                if (odd) right += load(lower + (ox + 1) * C + c) * below[0];
            }
            store(dx + (2 * ox + 1) * C + c, a * above[2] + b * below[2] + right);
        }
    }
}

/* One row of the input's gradient from the whole image's dz; `turned`: the taps in reverse order. */
INNER void spatial_gradient_row(const unit *u, const float *dz, const float *zeros, const float *turned, int64_t iy,
                                float *dx) {
    const float *rows[3];
    if (u->stride == 2) {
        spread_row(u, dz, zeros, iy, dx);
        return;
    }
    rows_around(dz, iy, u->out_height, u->out_width * u->channels, zeros, rows);
    convolved_row(rows, turned, dx, u->out_width, u->width, u->channels, 1);
}

/* ---- interleaved product of group 1x1 convolutions -------------------------------------------------------------- */

/* COUNT inputs of one group added to WIDTH outputs of every pixel of the tile; the weights stay in registers. */
#define FACTOR_PART(COUNT)                                                                                             \
    INNER void factor_part##COUNT(const float *x, int64_t x_step, const float *w, int64_t w_step, float *y,            \
                                  int64_t y_step, int64_t pixels, int add) {                                           \
        vec weights[COUNT];                                                                                            \
        int64_t t = 0;                                                                                                 \
        for (int k = 0; k < COUNT; k++) weights[k] = load(w + k * w_step);                                             \
        for (; t + 4 <= pixels; t += 4, x += 4 * x_step, y += 4 * y_step) {                                            \
            const float *x1 = x + x_step, *x2 = x + 2 * x_step, *x3 = x1 + 2 * x_step;                                 \
            float *y1 = y + y_step, *y2 = y + 2 * y_step, *y3 = y1 + 2 * y_step;                                       \
            vec s0 = all(0), s1 = s0, s2 = s0, s3 = s0;                                                                \
            if (add) s0 = load(y), s1 = load(y1), s2 = load(y2), s3 = load(y3);                                        \
            for (int k = 0; k < COUNT; k++) {                                                                          \
                s0 += weights[k] * all(x[k]);                                                                          \
                s1 += weights[k] * all(x1[k]);                                                                         \
                s2 += weights[k] * all(x2[k]);                                                                         \
                s3 += weights[k] * all(x3[k]);                                                                         \
            }                                                                                                          \
            store(y, s0), store(y1, s1), store(y2, s2), store(y3, s3);                                                 \
        }                                                                                                              \
        for (; t < pixels; t++, x += x_step, y += y_step) {                                                            \
            vec s = add ? load(y) : all(0);                                                                            \
            for (int k = 0; k < COUNT; k++) s += weights[k] * all(x[k]);                                               \
            store(y, s);                                                                                               \
        }                                                                                                              \
    }
FACTOR_PART(8)

/* y[t][g * n_out + o] = sum_i w[g][i][o] * x[t][g * n_in + i]; n_in and n_out are multiples of WIDTH. */
static void factor_tile(const float *x, int64_t x_step, const float *w, float *y, int64_t y_step, int64_t groups,
                        int64_t n_in, int64_t n_out, int64_t pixels) {
    for (int64_t g = 0; g < groups; g++, x += n_in, y += n_out)
        for (int64_t i = 0; i < n_in; i += 8, w += 8 * n_out)
            for (int64_t o = 0; o < n_out; o += WIDTH)
                factor_part8(x + i, x_step, w + o, n_out, y + o, y_step, pixels, i > 0);
}

/* dw[g][i][o] += sum_t x[t][g * n_in + i] * dy[t][g * n_out + o]. */
static void weight_tile(const float *x, int64_t x_step, const float *dy, int64_t y_step, float *dw, int64_t groups,
                        int64_t n_in, int64_t n_out, int64_t pixels) {
    for (int64_t g = 0; g < groups; g++, x += n_in, dy += n_out) {
        for (int64_t i = 0; i < n_in; i += 8, dw += 8 * n_out) {
            for (int64_t o = 0; o < n_out; o += WIDTH) {
                vec sums[8];
                for (int k = 0; k < 8; k++) sums[k] = load(dw + o + k * n_out);
                for (int64_t t = 0; t < pixels; t++) {
                    vec d = load(dy + t * y_step + o);
                    for (int k = 0; k < 8; k++) sums[k] += d * all(x[t * x_step + i + k]);
                }
                for (int k = 0; k < 8; k++) store(dw + o + k * n_out, sums[k]);
            }
        }
    }
}

/* One factor with its shuffle. */
INNER void shuffled_factor(const unit *u, int64_t f, const float *from, int64_t from_step, float *scratch, float *to,
                           int64_t to_step, int64_t pixels) {
    factor_tile(from, from_step, u->weight_io[f], scratch, u->widest, u->groups[f], u->in[f], u->out[f], pixels);
    shuffle_tile(scratch, u->widest, to, to_step, u->groups[f] * u->out[f], u->shuffle[f], pixels);
}

/* y of at most TILE pixels; scratch of (factors + 1) tiles. */
static void product_tile(const unit *u, const float *z, float *y, float *scratch, int64_t pixels) {
    int64_t step = u->channels;
    for (int64_t f = 0; f < u->factors; f++) {
        int last = f + 1 == u->factors;
        float *to = last ? y : scratch + (f + 1) * TILE * u->widest;
        shuffled_factor(u, f, z, step, scratch, to, last ? u->out_channels : u->widest, pixels);
        z = to, step = u->widest;
    }
}

/* dz of at most TILE pixels, and the weights' gradients; scratch of (factors + 1) tiles. */
static void product_gradient_tile(const unit *u, const float *z, const float *dy, float *dz, float *scratch,
                                  int64_t pixels, int part) {
    int64_t L = u->factors, widest = u->widest;
    const float *inputs[MAX_FACTORS] = {z};
    float *up = scratch, *down = scratch + TILE * widest, *inner = down + TILE * widest;
    for (int64_t f = 0; f + 1 < L; f++) {
        float *to = inner + f * TILE * widest;
        shuffled_factor(u, f, inputs[f], f ? widest : u->channels, down, to, widest, pixels);
        inputs[f + 1] = to;
    }
    shuffle_tile(dy, u->out_channels, up, widest, u->out_channels, u->out_channels / u->shuffle[L - 1], pixels);
    for (int64_t f = L - 1; f >= 0; f--) {
        int64_t n_in = u->in[f], n_out = u->out[f], groups = u->groups[f], weights = groups * n_in * n_out;
        weight_tile(inputs[f], f ? widest : u->channels, up, widest, u->weight_gradient[f] + part * weights, groups, n_in,
                    n_out, pixels);
        factor_tile(up, widest, u->weight_oi[f], f ? down : dz, f ? widest : u->channels, groups, n_out, n_in, pixels);
        if (f) shuffle_tile(down, widest, up, widest, groups * n_in, groups * n_in / u->shuffle[f - 1], pixels);
    }
}

/* ---- the unit ----------------------------------------------------------------------------------------------------- */

/* Rows that are worked on at once: at least TILE pixels of the output. */
INNER int64_t band_rows(const unit *u) { return u->out_width >= TILE ? 1 : (TILE + u->out_width - 1) / u->out_width; }

/* Zeros as long as a row of the input, then the taps in reverse order. */
INNER float *zeros_and_turned_taps(const unit *u, float **turned) {
    int64_t C = u->channels, row = u->width * C;
    float *zeros = scratch_floats(row + 9 * C);
    for (int64_t k = 0; k < row; k++) zeros[k] = 0;
    *turned = zeros + row;
    for (int64_t k = 0; u->taps && k < 9 * C; k++) (*turned)[k] = u->taps[(8 - k / C) * C + k % C];
    return zeros;
}

/* z (what the product reads) of `rows` rows from oy on: `band` where there are taps, else the input itself. */
INNER const float *spatial_band(const unit *u, const float *image, const float *zeros, int64_t oy, int64_t rows,
                                float *band) {
    if (!u->taps) return image + oy * u->out_width * u->channels;
    for (int64_t r = 0; r < rows; r++) spatial_row(u, image, zeros, oy + r, band + r * u->out_width * u->channels);
    return band;
}

/* y, and sums of (y - shift) and (y - shift)^2 as sums[part][2][C] (shift NULL: none). */
EXPORT void unit_forward(const unit *u, const float *x, float *y, const float *shift, double *sums, int threads) {
    int64_t C = u->channels, C_out = u->out_channels, W = u->out_width, H = u->out_height, rows = band_rows(u);
    PART_LOOP {
        float *band = scratch_floats(rows * W * C), *scratch = scratch_floats((u->factors + 1) * TILE * u->widest);
        float *block = scratch_floats(2 * C_out), *turned, *zeros = zeros_and_turned_taps(u, &turned);
        for (int64_t n = u->images * part / threads; n < u->images * (part + 1) / threads; n++) {
            const float *image = x + n * u->height * u->width * C;
            for (int64_t oy = 0; oy < H; oy += rows) {
                int64_t pixels = (H - oy < rows ? H - oy : rows) * W;
                float *out = y + (n * H + oy) * W * C_out;
                const float *z = spatial_band(u, image, zeros, oy, pixels / W, u->factors ? band : out);
                for (int64_t t = 0; u->factors && t < pixels; t += TILE)
                    product_tile(u, z + t * C, out + t * C_out, scratch, pixels - t < TILE ? pixels - t : TILE);
                if (shift) add_sums(out, shift, block, sums + 2 * C_out * part, pixels, C_out);
            }
        }
        free(band), free(scratch), free(block), free(zeros);
    }
}

/* dx and all gradients from the gradient after normalisation and activation. */
EXPORT void unit_backward(const unit *u, const norm *m, const float *gradient, const float *y, const float *x, float *dx,
                          int threads) {
    int64_t C = u->channels, C_out = u->out_channels, W = u->out_width, H = u->out_height, rows = band_rows(u);
    PART_LOOP {
        float *band = scratch_floats(rows * W * C), *scratch = scratch_floats((u->factors + 1) * TILE * u->widest);
        float *dy = scratch_floats(rows * W * C_out), *whole = u->taps ? scratch_floats(H * W * C) : NULL;
        float *turned, *zeros = zeros_and_turned_taps(u, &turned);
        float *unshuffled_rows = scratch_floats(m->shuffle == 1 ? 0 : rows * W * C_out);
        for (int64_t n = u->images * part / threads; n < u->images * (part + 1) / threads; n++) {
            const float *image = x + n * u->height * u->width * C;
            float *dx_image = dx + n * u->height * u->width * C, *dz = u->taps ? whole : dx_image;
            for (int64_t oy = 0; oy < H; oy += rows) {
                int64_t pixels = (H - oy < rows ? H - oy : rows) * W, at = (n * H + oy) * W * C_out;
                const float *up = unshuffled(m, gradient + at, unshuffled_rows, pixels, C_out);
                normalise_gradient(up, y + at, m, u->factors ? dy : dz + oy * W * C, pixels, C_out);
                if (!u->factors) continue;
                const float *z = spatial_band(u, image, zeros, oy, pixels / W, band);
                for (int64_t t = 0; t < pixels; t += TILE)
                    product_gradient_tile(u, z + t * C, dy + t * C_out, dz + (oy * W + t) * C, scratch,
                                          pixels - t < TILE ? pixels - t : TILE, part);
            }
            if (!u->taps) continue;
            for (int64_t oy = 0; oy < H; oy++)
                taps_gradient_row(u, image, zeros, dz + oy * W * C, oy, u->taps_gradient + 9 * C * part);
            for (int64_t iy = 0; iy < u->height; iy++)
                spatial_gradient_row(u, dz, zeros, turned, iy, dx_image + iy * u->width * C);
        }
        free(band), free(scratch), free(dy), free(whole), free(zeros), free(unshuffled_rows);
    }
}
