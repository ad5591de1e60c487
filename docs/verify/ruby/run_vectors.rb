# frozen_string_literal: true

# `ruby docs/verify/ruby/run_vectors.rb docs/verify/vectors.json`: tries the verifier against every vector; ends with 1 when one comes out otherwise.

require "json"
require_relative "verify_passport"

document = JSON.parse(File.read(ARGV.fetch(0), encoding: "UTF-8"))
wrong = document["vectors"].reject do |vector|
  verifier = PassportVerifier.new(
    issuer: document["issuer"],
    audience: document["audience"],
    key_set_url: "",
    now: -> { vector["now"] },
    read_key_set: -> { JSON.generate(document["keySets"][vector["keySet"]]) }
  )
  said = begin
    verifier.verify(vector["token"])
    ""
  rescue PassportVerifier::Refused => e
    e.message
  end
  wanted = vector.fetch("reason", "")
  warn "#{vector["name"]}: #{said.empty? ? "accepted" : said}, should be #{wanted.empty? ? "accepted" : wanted}" if said != wanted
  said == wanted
end

count = document["vectors"].size
puts "ruby: #{count - wrong.size} of #{count} vectors as they should be"
exit(wrong.empty? ? 0 : 1)
