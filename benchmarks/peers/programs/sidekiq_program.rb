# Sidekiq: `sidekiq -r ./sidekiq_program.rb`, and the producer as the Python peers have it (marks.py).
require 'sidekiq'
require 'json'

FOLDER = ENV['BENCH_FOLDER']
REDIS = { url: "redis://127.0.0.1:#{ENV['BENCH_PORT']}/0" }.freeze
Sidekiq.configure_server { |config| config.redis = REDIS; config.logger.level = Logger::ERROR }
Sidekiq.configure_client { |config| config.redis = REDIS }

LOCK = Mutex.new
LOG = File.open("#{FOLDER}/log", 'a')
LOG.sync = true
$count = 0
$first = 0.0

def now = Process.clock_gettime(Process::CLOCK_REALTIME)

def mark
  LOCK.synchronize do
    at = now
    $slots ||= File.open("#{FOLDER}/slots", 'r+b')
    $first = at if $count.zero?
    $count += 1
    $slots.pwrite([$first, at, $count].pack('EEq<'), Process.pid % 4096 * 24)
  end
end

class Noop
  include Sidekiq::Worker
  def perform(_value) = mark
end

class Latency
  include Sidekiq::Worker
  def perform(sent) = LOG.write("L #{now - sent}\n")
end

class Sleep
  include Sidekiq::Worker
  def perform(_value)
    sleep 0.05
    mark
  end
end

class Crash
  include Sidekiq::Worker
  def perform(number)
    LOG.write("S #{number} #{now} #{Process.pid}\n")
    sleep 0.2
    LOG.write("E #{number} #{now} #{Process.pid}\n")
  end
end

HANDLERS = { 'noop' => Noop, 'latency' => Latency, 'sleep' => Sleep, 'crash' => Crash }.freeze

def argument(kind, number)
  return now if kind == 'latency'
  return number unless kind == 'noop'

  { 'id' => number, 'email' => 'someone@example.org', 'template' => 'welcome', 'lang' => 'en_GB', 'tags' => %w[a b] }
end

if $PROGRAM_NAME == __FILE__
  kind, count, mode, rate = ARGV[1], ARGV[2].to_i, ARGV[3], ARGV[4].to_f
  handler = HANDLERS[kind]
  warm = rate.positive? ? 0 : [100, count / 10].min
  warm.times { |number| handler.perform_async(argument(kind, number)) }
  start = now
  if mode == 'many'
    (warm...count).each_slice(1000) do |numbers|
      Sidekiq::Client.push_bulk('class' => handler, 'args' => numbers.map { |number| [argument(kind, number)] })
    end
  else
    (warm...count).each do |number|
      wait = rate.positive? ? start + number / rate - now : 0
      sleep wait if wait.positive?
      handler.perform_async(argument(kind, number))
    end
  end
  puts({ tasks: count - warm, seconds: now - start }.to_json)
end
