/** Loaded into a processor with `--import`: its wall clock is SHIFT_MS off. */
const shift = Number(process.env['SHIFT_MS'] ?? '0')
const { now } = Date
const { timeOrigin } = performance

Date.now = () => now() + shift
Object.defineProperty(performance, 'timeOrigin', { value: timeOrigin + shift })
