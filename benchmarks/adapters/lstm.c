/* The work of one LSTM step between its matrix products, forward and back, in one pass each. n = H B numbers a gate. */

#include <math.h>

static float sigmoid(float x) { return 0.5f * tanhf(0.5f * x) + 0.5f; }

/* gates: i, f, g, o, and behind them the c of the step before; i, f, g, o are the sums, and become the gates. */
void forward(long n, float *restrict gates, float *restrict c, float *restrict squashed, float *restrict h) {
    for (long j = 0; j < n; j++) {
        float i = sigmoid(gates[j]), f = sigmoid(gates[n + j]), g = tanhf(gates[2 * n + j]), o = sigmoid(gates[3 * n + j]);
        gates[j] = i;
        gates[n + j] = f;
        gates[2 * n + j] = g;
        gates[3 * n + j] = o;
        c[j] = f * gates[4 * n + j] + i * g;
        squashed[j] = tanhf(c[j]);
        h[j] = o * squashed[j];
    }
}

/* dh comes back through time, given from the outputs; dc is brought up to date, dz is the gradient of the sums. */
void backward(long n, const float *restrict gates, const float *restrict squashed, const float *restrict given,
              const float *restrict dh, float *restrict dc, float *restrict dz) {
    for (long j = 0; j < n; j++) {
        float i = gates[j], f = gates[n + j], g = gates[2 * n + j], o = gates[3 * n + j], t = squashed[j];
        float d = dh[j] + given[j], e = dc[j] + d * o * (1 - t * t);
        dz[j] = e * g * i * (1 - i);
        dz[n + j] = e * gates[4 * n + j] * f * (1 - f);
        dz[2 * n + j] = e * i * (1 - g * g);
        dz[3 * n + j] = d * t * o * (1 - o);
        dc[j] = e * f;
    }
}
