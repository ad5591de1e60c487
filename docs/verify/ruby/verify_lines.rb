# frozen_string_literal: true

# `ruby docs/verify/ruby/verify_lines.rb`: does what it is told line by line, as docs/verify/README.md says, so that a test can have it do several things at once.

require_relative "verify_passport"

verifier = nil
wall = monotonic = 0.0

def said(verifier, passports)
  # As Rack servers join repeated headers.
  verifier.verify(passports.empty? ? nil : passports.join(","))
  "accepted"
rescue PassportVerifier::Refused => e
  e.message
end

$stdout.sync = true
$stdin.each_line(chomp: true) do |line|
  word, *values = line.split
  case word
  when "verifier"
    issuer, audience, key_set_url = values
    clocks = { now: -> { wall.to_i }, monotonic: -> { monotonic } }
    verifier = PassportVerifier.new(issuer: issuer, audience: audience, key_set_url: key_set_url, **clocks)
  when "clocks"
    wall, monotonic = values.map(&:to_f)
  else
    Thread.new(verifier) { |chosen| $stdout.write("#{values[0]} #{said(chosen, values.drop(1))}\n") }
  end
end
exit!(0)
