import { ROOT_CONTEXT, context, propagation, trace } from '@opentelemetry/api'
import type { Context, ContextManager } from '@opentelemetry/api'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { AlwaysOnSampler, BatchSpanProcessor, ParentBasedSampler, TracerProvider } from '@opentelemetry/sdk-trace'
import { AsyncLocalStorage } from 'node:async_hooks'
import { EXPORT_TIMEOUT_MS, otlpExporter, serviceResource } from './otlp.ts'
import type { OtlpConfig, ServiceConfig } from './otlp.ts'
import { within } from './span-queue.ts'

const CLOSE_MS = 1500

/**
 * For a process that uses `@opentelemetry/api` and has set up no SDK of its own, like the demo's producer and executor:
 * registers a tracer provider, the W3C propagator and a context that follows `await`, and exports by OTLP. `close` exports
 * what is queued, in 1.5 seconds at the most.
 */
export function openTracing(config: ServiceConfig & { readonly otlp: OtlpConfig }): { close: () => Promise<void> } {
  const processor = new BatchSpanProcessor({
    exporter: otlpExporter(config.otlp),
    scheduledDelayMillis: 500,
    exportTimeoutMillis: EXPORT_TIMEOUT_MS,
  })
  const provider = new TracerProvider({
    resource: serviceResource(config),
    sampler: new ParentBasedSampler({ root: new AlwaysOnSampler() }),
    spanProcessors: [processor],
  })
  context.setGlobalContextManager(new AsyncContext())
  propagation.setGlobalPropagator(new W3CTraceContextPropagator())
  trace.setGlobalTracerProvider(provider)
  return {
    close: async () => {
      trace.disable()
      await within(CLOSE_MS, provider.shutdown())
    },
  }
}

class AsyncContext implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>()

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    active: Context,
    run: F,
    thisArg?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(active, () => run.call(thisArg, ...args))
  }

  bind<T>(active: Context, target: T): T {
    if (typeof target !== 'function') return target
    const bound = (...args: unknown[]): unknown => this.#storage.run(active, () => target(...args))
    return bound as T
  }

  enable(): this {
    return this
  }

  disable(): this {
    this.#storage.disable()
    return this
  }
}
