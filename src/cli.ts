import { Command, Option } from 'commander'
import type { StackKind } from '../deploy/local/stack.ts'
import type { AuditCommandOptions } from './commands/audit.ts'
import type { CalibrateOptions } from './commands/calibrate.ts'
import type { CertifyOptions } from './commands/certify.ts'
import type { OrderOptions } from './commands/control.ts'
import type { ReportOptions } from './commands/report.ts'
import type { TopicOptions } from './commands/from-topics.ts'
import type { ThresholdsOptions } from './commands/thresholds.ts'
import { BUDGETS } from './decision/certificate.ts'
import { NoAnswer } from './kafka/errors.ts'
import { inside, positive, whole } from './option-values.ts'
import { VERSION } from './version.ts'
import { MISSING } from './watch/execution.ts'

/**
 * Runs a command and exits with its code once nothing keeps the process alive. A command is loaded when it runs: a
 * processor that starts again, while nobody serves its partitions, need not read what draws a report.
 */
const exitWith =
  <A extends unknown[]>(command: (...args: A) => Promise<number> | number) =>
  async (...args: A): Promise<void> => {
    process.exitCode = await command(...args)
  }

const program = new Command('sluice')
  .description(
    'A control plane for AI actions: every model output gets one verdict, exactly once and with its reasons.',
  )
  .version(VERSION)
  .option('--config <file>', 'settings from a YAML file; the environment wins')

const file = (): string | undefined => program.opts<{ config?: string }>().config

program
  .command('run')
  .description('run the processor until SIGTERM')
  .action(exitWith(async () => (await import('./commands/run.ts')).run(file())))

program
  .command('setup')
  .description('create the topics that are missing and register the schemas')
  .option('--partitions <n>', 'of the input topic and with it of the verdict topics', whole)
  .option('--replicas <n>', 'of every topic; the broker decides if not given', whole)
  .action(
    exitWith(async (options: { partitions?: number; replicas?: number }) =>
      (await import('./commands/setup.ts')).setup(file(), options),
    ),
  )

program
  .command('config')
  .description('print every setting, where it came from and what it is; secrets are hidden')
  .option('--json', 'as JSON', false)
  .action(
    exitWith(async (options: { json: boolean }) => (await import('./commands/config.ts')).showConfig(file(), options)),
  )

program
  .command('policy')
  .description('work on policies')
  .command('check')
  .description('name every mistake in policies, calibrations and certificates as file:line:column')
  .argument('<files...>')
  .option('--json', 'as JSON', false)
  .action(
    exitWith(async (files: string[], options: { json: boolean }) =>
      (await import('./commands/policy-check.ts')).policyCheck(files, options),
    ),
  )

type FromTopics = TopicOptions & { readonly fromTopics: boolean }

/** Ends with what is missing, as commander does for an option that is always needed. */
function needFiles(command: Command, names: readonly string[]): void {
  const missing = names.filter((name) => command.getOptionValue(name) === undefined).map((name) => `--${name}`)
  if (missing.length > 0)
    command.error(
      `error: required option${missing.length > 1 ? 's' : ''} ${missing.join(', ')} not given; or take --from-topics`,
    )
}

const rows = (command: Command): Command =>
  command
    .option('--score <column>', 'of a file: where the scores stand')
    .option('--label <column>', 'of a file: where 0 or 1 stands')
    .addOption(
      new Option('--label-means <what>', 'what a label of 1 says').choices(['right', 'error']).default('right'),
    )
    .option('--segment <column>', 'report each of its values by itself; from topics a value of the event')
    .option('--cluster <column>', 'rows of one value resemble each other: one random row of each counts')
    .option('--seed <n>', 'the same seed gives the same result', whole, 1)
    .option('--json', 'print as JSON', false)

const labelled = (command: Command): Command =>
  rows(command)
    .option('--time <column>', 'of a file: times in ISO 8601; the first and the last become the window')
    .option('--score-kind <name>', 'the scoreKind of the events', 'probability')
    .option('--from-topics', 'take decided events and their outcomes instead of a file', false)
    .option('--from <time>', 'from topics: decided since, as ISO 8601 or how long ago, e.g. 30d')
    .option('--to <time>', 'from topics: decided before; now if not given')
    .option('--maturity <duration>', 'from topics: at which age an event counts; SLUICE_MATURITY_MS if not given')
    .addOption(
      new Option(
        '--missing <rule>',
        'from topics: what no label by then means; SLUICE_MISSING_LABEL if not given',
      ).choices(MISSING),
    )
    .option('-o, --out <file>', 'where to write it')

labelled(
  program
    .command('calibrate')
    .description('fit the map from raw score to how often it is right, from labelled rows')
    .option('--csv <file>', 'the labelled rows')
    .requiredOption('--model <name@version>', 'whose scores they are')
    .option('--action <name>', 'one action only; every action of the model if not given'),
).action(
  exitWith(async (options: CalibrateOptions & FromTopics, command: Command) => {
    if (options.fromTopics) return (await import('./commands/from-topics.ts')).calibrateFromTopics(file(), options)
    needFiles(command, ['csv', 'score', 'label'])
    return (await import('./commands/calibrate.ts')).calibrateScores(options)
  }),
)

labelled(
  program
    .command('certify')
    .description('find from which score on executing keeps the error rate under a bound, or say why from none')
    .option('--labelled <file>', 'rows with labels')
    .option('--unlabelled <file>', 'rows seen before those, whose scores lay out the thresholds')
    .requiredOption('--risk <share>', 'the largest share of errors, e.g. 0.01', inside)
    .option('--assurance <share>', 'how sure the promise is', inside, 0.95)
    .addOption(
      new Option('--budget <kind>', 'what errors are counted against').choices(BUDGETS).default('per-execution'),
    )
    .option('--jointly', 'let the promises of all segments hold at once', false)
    .option('--model <name@version>', 'whose scores they are; needed with -o')
    .option('--action <name>', 'what is executed; needed with -o')
    .option('--valid-for <duration>', 'how long the certificate holds', '90d'),
).action(
  exitWith(async (options: CertifyOptions & FromTopics, command: Command) => {
    if (options.fromTopics) return (await import('./commands/from-topics.ts')).certifyFromTopics(file(), options)
    needFiles(command, ['labelled', 'unlabelled', 'score', 'label'])
    return (await import('./commands/certify.ts')).certifyThreshold(options)
  }),
)

program
  .command('report')
  .description('show all about one certificate on a page of its own, computed again from its data')
  .requiredOption('--certificate <id>', 'its id, or how it begins')
  .addOption(
    new Option('--certificates <file>', 'where `sluice certify -o` wrote it')
      .env('SLUICE_CERTIFICATES')
      .default('certificates.json'),
  )
  .option('--labelled <file>', 'where the labelled rows are now, if not where they were')
  .option('--unlabelled <file>', 'where the unlabelled rows are now')
  .option('--segment <column>', 'show each of its values, where the certificate is for all')
  .option('--verdicts <file>', 'what was decided: CSV with time, route, code, propensity, label')
  .option('--cost-wrong <amount>', 'what a wrong execution costs', positive)
  .option('--cost-review <amount>', 'what a review costs', positive)
  .option('--previous <score>', 'from which score on the policy before executed', Number)
  .option('-o, --out <file>', 'where to write the page')
  .option('--json', 'print the figures as JSON', false)
  .action(exitWith(async (options: ReportOptions) => (await import('./commands/report.ts')).reportCertificate(options)))
rows(
  program
    .command('thresholds')
    .description(
      'show what each threshold would execute, err, cost and leave to reviewers, and what more labels would buy',
    )
    .requiredOption('--labelled <file>', 'rows with labels')
    .requiredOption('--unlabelled <file>', 'rows seen before those, whose scores lay out the thresholds')
    .option('--policy <file>', 'take the demand and the costs from this policy’s')
    .option('--action <name>', 'action of this name')
    .option('--risk <share>', 'the largest share of errors, e.g. 0.01', inside)
    .option('--assurance <share>', 'how sure the promise is; 0.95 if nobody says', inside)
    .addOption(new Option('--budget <kind>', 'what errors are counted against').choices(BUDGETS))
    .option('--wrong-execution <cost>', 'of executing what is wrong', Number)
    .option('--wrong-reject <cost>', 'of rejecting what is right', Number)
    .option('--review <cost>', 'of a look', Number),
).action(
  exitWith(async (options: ThresholdsOptions) => (await import('./commands/thresholds.ts')).showThresholds(options)),
)

program
  .command('audit')
  .description('read input and answers anew: has every event exactly one true answer?')
  .option('--follow', 'go on until SIGTERM, with GET /audit and metrics', false)
  .option('--json', 'print as JSON', false)
  .action(
    exitWith(async (options: AuditCommandOptions) => (await import('./commands/audit.ts')).audit(file(), options)),
  )

type Explained = {
  readonly event?: string
  readonly topic?: string
  readonly partition?: number
  readonly offset?: number
  readonly json: boolean
}

program
  .command('explain')
  .description('say in words why something was decided, and decide it again from its record')
  .argument('[decisionId]', 'e.g. model.outputs:3:1842')
  .option('--event <id>', 'find it by the event’s id')
  .option('--topic <name>', 'find it by where it lies: its topic, together with')
  .option('--partition <n>', 'its partition and', whole)
  .option('--offset <n>', 'its offset', whole)
  .option('--json', 'as JSON', false)
  .action(
    exitWith(async (decisionId: string | undefined, { event, json, ...place }: Explained) =>
      (await import('./commands/explain.ts')).explainDecision(file(), { decisionId, event, place, json }),
    ),
  )

const control = program
  .command('control')
  .description('orders that hold for every processor: kill switches, exemptions, withdrawn certificates')

const orders = () => import('./commands/control.ts')

const UNTIL_LIFTED = 'how long, e.g. 2h; until lifted if not given'

const order = (command: Command, duration = UNTIL_LIFTED): Command =>
  command
    .requiredOption('--author <name>', 'who orders it')
    .requiredOption('--reason <text>', 'why')
    .option('--tenant <name>', 'only this tenant')
    .option('--model <name>', 'only this model')
    .option('--action <name>', 'only this action')
    .option('--actor <name>', 'only this actor')
    .option('--for <duration>', duration)
    .option('--id <id>', 'what to lift it by; made from the rest if not given')

const route = (standard: string): Option =>
  new Option('--route <route>', `where to send it instead; ${standard} if not given`).choices(['review', 'reject'])

order(control.command('kill').description('execute nothing of what is named; nothing at all if nothing is'))
  .addOption(route('reject'))
  .action(exitWith(async (options: OrderOptions) => (await orders()).giveOrder(file(), 'kill', null, options)))

order(control.command('force').description('be at least this strict with what is named'))
  .addOption(route('review'))
  .action(exitWith(async (options: OrderOptions) => (await orders()).giveOrder(file(), 'force', null, options)))

const exempt = control
  .command('exempt')
  .description('let one rule or limit not count, for a time')
  .argument('<rule>', 'its id in the policy, e.g. large-refund')
order(exempt, 'how long, e.g. 2h; an exemption must end').action(
  exitWith(async (rule: string, options: OrderOptions) => (await orders()).giveOrder(file(), 'exempt', rule, options)),
)

control
  .command('withdraw')
  .description('execute nothing on this certificate any more')
  .argument('<certificate>', 'its id, as verdicts and the file of certificates have it')
  .requiredOption('--author <name>', 'who orders it')
  .requiredOption('--reason <text>', 'why')
  .action(
    exitWith(async (certificate: string, options: { author: string; reason: string }) =>
      (await orders()).withdrawCertificate(file(), certificate, options),
    ),
  )

control
  .command('lift')
  .description('end an order')
  .argument('<id>')
  .action(exitWith(async (id: string) => (await orders()).liftOrder(file(), id)))

control
  .command('list')
  .description('what is in force')
  .option('--json', 'as JSON', false)
  .action(exitWith(async (options: { json: boolean }) => (await orders()).listOrders(file(), options)))

const monitoring = program
  .command('monitor')
  .description('watch over executed risk until SIGTERM, and withdraw certificates that are broken')
  .action(exitWith(async () => (await import('./commands/monitor.ts')).monitor(file())))

monitoring
  .command('status')
  .description('how far each certificate is from being withdrawn')
  .option('--json', 'as JSON', false)
  .action(
    exitWith(async (options: { json: boolean }) =>
      (await import('./commands/monitor.ts')).monitorStatus(file(), options),
    ),
  )

monitoring
  .command('replay')
  .description('count all outcomes anew and compare with what the monitor keeps, byte for byte')
  .action(exitWith(async () => (await import('./commands/monitor.ts')).monitorReplay(file())))

const STACKS = ['given', 'docker', 'local'] as const satisfies readonly StackKind[]

type Traffic = { readonly events?: number; readonly rate?: number; readonly seed: number }

const EVENTS_PER_SECOND = 20

const traffic = (command: Command): Command =>
  command
    .option('--events <n>', 'stop after so many', whole)
    .option('--rate <n>', `events a second; ${EVENTS_PER_SECOND} if not given`, positive)
    .option('--seed <n>', 'the same seed gives the same events', whole, 1)

const paced = ({ events, rate, seed }: Traffic) => ({
  events: events ?? null,
  perSecond: rate ?? EVENTS_PER_SECOND,
  seed,
})

const DEMOS = ['marketplace', 'drift'] as const

traffic(program.command('demo').description('run all of it on this machine: stack, processor, producer, executor'))
  .addOption(new Option('--stack <kind>', 'which stack to use').choices(STACKS))
  .addOption(
    new Option(
      '--demo <name>',
      'marketplace: every kind of decision; drift: a certificate that is found, relied on, and withdrawn when the model errs',
    )
      .choices(DEMOS)
      .default('marketplace'),
  )
  .action(
    exitWith(async ({ demo: name, ...options }: Traffic & { stack?: StackKind; demo: (typeof DEMOS)[number] }) => {
      // Only this command needs what starts servers, which an image of the processor does not have.
      const { stack, events, rate: perSecond, seed } = options
      if (name === 'drift')
        return await (await import('./commands/demo/drift/drift-demo.ts')).driftDemo({ stack, events, perSecond, seed })
      return await (await import('./commands/demo/demo.ts')).demo({ ...paced(options), stack })
    }),
  )

traffic(program.command('demo-producer').description('play the models of the demo')).action(
  exitWith(async (options: Traffic) =>
    (await import('./commands/demo/demo-producer.ts')).demoProducer(file(), paced(options)),
  ),
)

program
  .command('demo-executor')
  .description('pretend to do what may be executed')
  .action(exitWith(async () => (await import('./commands/demo/demo-executor.ts')).demoExecutor(file())))

/** What a user can mend is said in its message; anything else is a bug and keeps its stack. */
const FOR_PEOPLE = new Set([
  'AddressRefused',
  'ConfigError',
  'TopicsUnfit',
  'RegistrationFailed',
  'StackError',
  'SlotTaken',
  'KafkaRefusal',
  'NoAnswer',
  'NotSent',
  'SchemaUnavailable',
  'StateUnavailable',
  'UnreadableRecord',
])

function inWords(error: Error): string {
  const isAway = error instanceof NoAnswer && error.kind !== 'login'
  return isAway ? `Kafka does not answer: ${error.message}; does it run, and is KAFKA_BROKERS right?` : error.message
}

/** Whoever mistypes an option is sent to the help of the command it was meant for; 1 is a command's own answer. */
function nameHelp(command: Command, name: string): void {
  command.showHelpAfterError(`(\`${name} --help\` says more)`)
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  for (const it of command.commands) nameHelp(it, `${name} ${it.name()}`)
}

nameHelp(program, 'sluice')
// Whoever reads only the first lines, as `head` does, has what he wants; files are written all the same.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error
})
try {
  await program.parseAsync()
} catch (error) {
  const known = error instanceof Error && FOR_PEOPLE.has(error.name)
  console.error(known ? `sluice: ${inWords(error)}` : error)
  process.exitCode = 1
}
