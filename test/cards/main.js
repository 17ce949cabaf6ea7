// Reads Adaptive Cards from its standard input, a JSON list, with Microsoft's library, and prints of each what the library objects to and
// the card as it understood it.
const AC = require('adaptivecards/dist/adaptivecards.js')

const read = (json) => {
  const card = new AC.AdaptiveCard()
  const context = new AC.SerializationContext()
  card.parse(json, context)
  const objections = []
  for (let i = 0; i < context.eventCount; i++) objections.push(context.getEventAt(i).message)
  for (const e of card.validateProperties().validationEvents) objections.push(e.message)
  return { objections, card: card.toJSON() }
}
console.log(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8')).map(read)))
